import { OcspRequestError } from '../../x509/ocsp-request.ts';

/** RFC 5019 §5 asks clients to keep GET requests below 255 octets; ours may hold several CertIDs. */
const MAX_PATH_CHARACTERS = 8_192;

/**
 * The DER request in the path of an OCSP GET (RFC 6960 appendix A.1): base64, percent-encoded or not. `path` is what follows `/ocsp`,
 * as it came over the wire. Taken as clients send it: with or without padding, `%2F` or `/`, escapes in either case, and a slash too
 * many in front (a DER SEQUENCE never begins with one in base64). @throws OcspRequestError
 */
export function decodeOcspPath(path: string): Buffer {
  if (path.length > MAX_PATH_CHARACTERS) throw new OcspRequestError('the request is too long for GET');
  // Some clients and proxies turn + into a space, as in a query.
  const text = unescape(path).replace(/^\/+/, '').replaceAll(' ', '+');
  const [, digits] = /^([A-Za-z0-9+/]+)={0,2}$/.exec(text) ?? [];
  if (digits === undefined || digits.length % 4 === 1) throw new OcspRequestError('the path is not base64');
  return Buffer.from(digits, 'base64');
}

function unescape(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new OcspRequestError('the path is not percent-encoded');
  }
}
