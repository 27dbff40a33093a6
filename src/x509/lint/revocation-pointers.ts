import { encodeAuthorityInformationAccess, parseAuthorityInformationAccess } from '../extensions/authority-information-access.ts';
import { encodeCrlDistributionPoints, parseCrlDistributionPoints } from '../extensions/crl-distribution-points.ts';
import { encodeNoRevAvail } from '../extensions/no-rev-avail.ts';
import type { Extension } from '../extensions/extension.ts';
import { OID } from '../oids.ts';
import { findExtension, type CertificateKind, type Lint } from './lint.ts';

/**
 * RFC 5280 §4.2.1.13 and §4.2.2.1, RFC 9608 §4: what can be revoked says where to ask, what cannot says so, never both. A root is
 * trusted by hand; a responder is exempt by ocsp-nocheck; the root answers no OCSP, so what it signs points to its CRL alone.
 */
export const revocationPointers: Lint = {
  name: 'revocation-pointers',
  reference: 'RFC 9608 §4',
  check({ certificate, kind }) {
    const points = findExtension(certificate, OID.crlDistributionPoints);
    const access = findExtension(certificate, OID.authorityInformationAccess);
    const never = findExtension(certificate, OID.noRevAvail);
    const critical = [points, access, never].find((extension) => extension?.critical);
    if (critical) return `extension ${critical.oid} is critical`;
    if (points && !isPlainPoints(points)) return 'CRL distribution points are not URLs alone';
    if (access && !isPlainAccess(access)) return 'authority information access is not OCSP and issuer URLs alone';
    if (never && !never.value.equals(encodeNoRevAvail().value)) return 'noRevAvail is not NULL';
    const ocsp = (certificate.authorityInformationAccess?.ocsp.length ?? 0) > 0;
    if (never && (points || ocsp)) return 'has noRevAvail and revocation pointers';
    return judgeKind(kind, points !== undefined, ocsp, never !== undefined);
  },
};

function judgeKind(kind: CertificateKind, crl: boolean, ocsp: boolean, never: boolean): string | undefined {
  switch (kind) {
    case 'root':
    case 'ocsp':
      return crl || ocsp || never ? 'this kind has no revocation pointers' : undefined;
    case 'issuing':
    case 'cross':
      if (never) return 'noRevAvail is not for CA certificates';
      return crl && !ocsp ? undefined : "a CA certificate points to its root's CRL and nothing else";
    case 'leaf':
    case 'tls':
      return never || (crl && ocsp) ? undefined : 'has neither CRL and OCSP pointers nor noRevAvail';
  }
}

const isUrl = (text: string): boolean => /^https?:\/\/[^/]/.test(text) && URL.canParse(text);

/** Written again from what was read of it, a value that says anything else comes out different. */
function isPlainPoints({ value }: Extension): boolean {
  const urls = parseCrlDistributionPoints(value);
  return urls.length > 0 && urls.every(isUrl) && encodeCrlDistributionPoints(urls).value.equals(value);
}

function isPlainAccess({ value }: Extension): boolean {
  const access = parseAuthorityInformationAccess(value);
  const urls = [...access.ocsp, ...access.caIssuers];
  return urls.length > 0 && urls.every(isUrl) && encodeAuthorityInformationAccess(access).value.equals(value);
}
