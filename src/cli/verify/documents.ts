/** Certificates, lists and answers as people and programs hand them over: PEM with whatever text around, base64, or DER. */

/** Labels of PEM blocks that are taken for each kind; `TRUSTED CERTIFICATE` is OpenSSL's own and has more in it than DER. */
const LABELS = { certificate: ['CERTIFICATE', 'X509 CERTIFICATE'], crl: ['X509 CRL', 'CRL'], ocsp: ['OCSP RESPONSE'] } as const;
export type DocumentKind = keyof typeof LABELS;

/** Not what it should be; the message says why. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,64})-----([^-]*)-----END ([A-Z0-9 ]{1,64})-----/g;

/** Every document of one kind in a text: its PEM blocks, or itself as base64. @throws DocumentError */
export function documentsIn(text: string, kind: DocumentKind): Buffer[] {
  if (!text.includes('-----BEGIN ')) return [decode(text)];
  const labels: readonly string[] = LABELS[kind];
  const found: Buffer[] = [];
  for (const [, begin = '', body = '', end = ''] of text.matchAll(BLOCK)) if (begin === end && labels.includes(begin)) found.push(decode(body));
  if (found.length === 0) throw new DocumentError(`no PEM block ${labels[0]} in it`);
  return found;
}

/** The same of a file, which may be DER too. @throws DocumentError */
export function documentsInFile(bytes: Buffer, kind: DocumentKind): Buffer[] {
  const isDer = bytes[0] === 0x30 && bytes.some((octet) => octet > 0x7e || (octet < 0x20 && !'\t\r\n'.includes(String.fromCharCode(octet))));
  return isDer ? [bytes] : documentsIn(bytes.toString('latin1'), kind);
}

function decode(text: string): Buffer {
  const base64 = text.replaceAll(/\s+/g, '');
  const der = Buffer.from(base64, 'base64');
  // Node skips what is not base64; what it understood must be what was written, but for padding.
  if (der.length === 0 || der.toString('base64').replaceAll('=', '') !== base64.replaceAll('=', '')) throw new DocumentError('neither PEM nor base64');
  return der;
}
