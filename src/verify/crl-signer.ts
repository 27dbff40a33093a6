import type { Certificate } from '../x509/certificate.ts';
import { parseCrl, type CertificateList } from '../x509/crl.ts';
import { DerError } from '../x509/der/reader.ts';
import { parseIssuingDistributionPoint } from '../x509/extensions/issuing-distribution-point.ts';
import { OID } from '../x509/oids.ts';
import { verifySignature } from '../x509/public-key.ts';

/** Why a list tells nothing. */
export type CrlFault = 'malformed' | 'unknown-issuer' | 'bad-signature' | 'unknown-critical-extension';

/** A list, the signer whose key made it, and the addresses of its issuing distribution point: none of a complete list. */
export interface SignedCrl<S> {
  list: CertificateList;
  signer: S;
  uris: string[];
}

/** A list with the one of the signers whose key made it (RFC 5280 §6.3.3 (f), (g)). Whether it is fresh is not asked, and its entries are not yet read. */
export function verifyCrl<S extends { certificate: Certificate }>(der: Uint8Array, signers: readonly S[]): SignedCrl<S> | { fault: CrlFault } {
  try {
    const list = parseCrl(der);
    const named = signers.filter(({ certificate }) => certificate.subjectName.equals(list.issuerName));
    if (named.length === 0) return { fault: 'unknown-issuer' };
    const signer = named.find(({ certificate }) => verifySignature(certificate.spki, list.signatureAlgorithm, list.tbs, list.signature));
    if (!signer) return { fault: 'bad-signature' };
    if (list.extensions.some(({ critical, oid }) => critical && oid !== OID.issuingDistributionPoint)) return { fault: 'unknown-critical-extension' };
    const point = list.extensions.find(({ oid }) => oid === OID.issuingDistributionPoint);
    const scope = point && parseIssuingDistributionPoint(point.value);
    if (scope?.restricted === true) return { fault: 'unknown-critical-extension' };
    return { list, signer, uris: scope?.uris ?? [] };
  } catch (error) {
    if (error instanceof DerError) return { fault: 'malformed' };
    throw error;
  }
}
