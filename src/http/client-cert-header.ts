/** The header fields in which a proxy passes on the certificate of a TLS client (RFC 9440). */
import { SignetError } from '../core/errors.ts';

/**
 * A Byte Sequence of a structured field (RFC 8941 §4.2.7). No parameters: RFC 9440 defines none. Missing padding is accepted, as §4.2.7 advises.
 * Undefined for anything else.
 */
function parseByteSequence(text: string): Buffer | undefined {
  const [, data, padding] = /^:([A-Za-z0-9+/]+)(={0,2}):$/.exec(text) ?? [];
  if (data === undefined || padding === undefined || data.length % 4 === 1) return undefined;
  if (padding !== '' && (data.length + padding.length) % 4 !== 0) return undefined;
  return Buffer.from(data, 'base64');
}

/** The DER in Client-Cert (RFC 9440 §2.2); `lines` are all header fields of this name. @throws SignetError `proxy-header-invalid` */
export function parseClientCert(lines: readonly string[]): Buffer {
  const [line = '', ...more] = lines;
  if (more.length > 0) throw invalid('Client-Cert came more than once: the proxy must take away what its client sent before it sets its own');
  const der = parseByteSequence(line.trim());
  if (der === undefined) throw invalid('Client-Cert must be the DER of one certificate in base64 between colons (RFC 9440)');
  return der;
}

/**
 * Client-Cert-Chain (RFC 9440 §2.3) is only read to see that it is one: which issuers a certificate has is known here, whatever a client showed with it.
 * @throws SignetError `proxy-header-invalid`
 */
export function checkClientCertChain(lines: readonly string[]): void {
  const isList = lines.every((line) => line.split(',').every((member) => parseByteSequence(member.trim()) !== undefined));
  if (!isList) throw invalid('Client-Cert-Chain must be a list of certificates, each as DER in base64 between colons (RFC 9440)');
}

const invalid = (detail: string) => new SignetError('proxy-header-invalid', detail);
