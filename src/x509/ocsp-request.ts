/** OCSP requests (RFC 6960 §4.1, RFC 9654 nonces), read strictly. The optional signature is read over and not judged, as §2.1 allows. */
import { DEFAULT_LIMITS, DerError, open, bitStringBytes, oidValue, unsignedIntegerBytes, type DerCursor } from './der/reader.ts';
import { TAG } from './der/writer.ts';
import { parseExtensions, type Extension } from './extensions/extension.ts';
import { parseNonce } from './extensions/ocsp-nonce.ts';
import { OID } from './oids.ts';

/** Not an OCSP request this server answers: the answer is `malformedRequest` (RFC 6960 §2.3). */
export class OcspRequestError extends Error {
  override readonly name = 'OcspRequestError';
}

/** Names one certificate by its issuer and serial (RFC 6960 §4.1.1). */
export interface OcspCertId {
  /** Undefined for a digest we do not know: such a CertID names none of our issuers. */
  hashAlgorithm: 'sha1' | 'sha256' | undefined;
  /** The whole CertID as asked, to be repeated in the answer octet by octet. */
  raw: Buffer;
  issuerNameHash: Buffer;
  issuerKeyHash: Buffer;
  /** Magnitude without sign octet, of any length. */
  serial: Buffer;
}

export interface OcspRequest {
  certIds: OcspCertId[];
  /** 1 to 128 octets (RFC 9654 §2.1). */
  nonce: Buffer | undefined;
}

export interface OcspRequestLimits {
  maxBytes: number;
  maxCertIds: number;
}

const DEFAULT_REQUEST_LIMITS: OcspRequestLimits = { maxBytes: 16_384, maxCertIds: 16 };

const HASH_ALGORITHMS: Readonly<Record<string, 'sha1' | 'sha256'>> = { [OID.sha1]: 'sha1', [OID.sha256]: 'sha256' };

/** Reads an OCSPRequest. @throws OcspRequestError whatever the octets are */
export function parseOcspRequest(der: Uint8Array, limits: OcspRequestLimits = DEFAULT_REQUEST_LIMITS): OcspRequest {
  try {
    const top = open(der, { ...DEFAULT_LIMITS, maxBytes: limits.maxBytes });
    const request = top.sequence('OCSPRequest');
    top.end('OCSPRequest');
    const tbs = request.sequence('TBSRequest');
    const signature = request.optional(0xa0);
    request.end('OCSPRequest');
    if (signature) checkSignatureForm(request.descend(signature));
    return parseTbsRequest(tbs, limits);
  } catch (error) {
    if (error instanceof DerError) throw new OcspRequestError(error.message, { cause: error });
    throw error;
  }
}

function parseTbsRequest(tbs: DerCursor, limits: OcspRequestLimits): OcspRequest {
  // No version: v1 is the default, which DER leaves out (X.690 §11.5), and there is no other.
  tbs.optional(0xa1); // requestorName says nothing without a judged signature
  const list = tbs.sequence('requestList');
  const wrapped = tbs.optional(0xa2);
  tbs.end('TBSRequest');

  const certIds: OcspCertId[] = [];
  while (!list.done) {
    if (certIds.length === limits.maxCertIds) throw new OcspRequestError(`more than ${limits.maxCertIds} certificates asked for`);
    certIds.push(parseSingleRequest(list.sequence('Request')));
  }
  if (certIds.length === 0) throw new OcspRequestError('no certificate asked for');

  const extensions = wrapped ? parseExtensions(tbs.descend(wrapped)) : [];
  refuseUnknownCritical(extensions, [OID.ocspNonce]);
  const nonce = extensions.find((extension) => extension.oid === OID.ocspNonce);
  return { certIds, nonce: nonce && parseNonce(nonce.value) };
}

function parseSingleRequest(request: DerCursor): OcspCertId {
  const node = request.expect(TAG.SEQUENCE, 'reqCert');
  const wrapped = request.optional(0xa0);
  request.end('Request');
  refuseUnknownCritical(wrapped ? parseExtensions(request.descend(wrapped)) : [], []);
  return { raw: node.raw, ...parseCertId(request.descend(node)) };
}

/** Fields of a CertID; also found in responses. @throws DerError */
export function parseCertId(id: DerCursor): Omit<OcspCertId, 'raw'> {
  const algorithm = id.sequence('hashAlgorithm');
  const hashAlgorithm = HASH_ALGORITHMS[oidValue(algorithm.expect(TAG.OID, 'hashAlgorithm'))];
  if (!algorithm.done) algorithm.next(); // parameters: NULL or absent in practice, echoed either way
  algorithm.end('hashAlgorithm');
  const issuerNameHash = id.expect(TAG.OCTET_STRING, 'issuerNameHash').content;
  const issuerKeyHash = id.expect(TAG.OCTET_STRING, 'issuerKeyHash').content;
  const serial = unsignedIntegerBytes(id.expect(TAG.INTEGER, 'serialNumber'));
  id.end('CertID');
  return { hashAlgorithm, issuerNameHash, issuerKeyHash, serial };
}

function refuseUnknownCritical(extensions: readonly Extension[], known: readonly string[]): void {
  const unknown = extensions.find((extension) => extension.critical && !known.includes(extension.oid));
  if (unknown) throw new OcspRequestError(`unknown critical extension ${unknown.oid}`);
}

/** Signature ::= SEQUENCE { signatureAlgorithm, signature BIT STRING, certs [0] OPTIONAL } */
function checkSignatureForm(wrapper: DerCursor): void {
  const signature = wrapper.sequence('Signature');
  wrapper.end('optionalSignature');
  signature.expect(TAG.SEQUENCE, 'signatureAlgorithm');
  bitStringBytes(signature.expect(TAG.BIT_STRING, 'signature'));
  signature.optional(0xa0);
  signature.end('Signature');
}
