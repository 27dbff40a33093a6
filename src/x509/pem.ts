import { SignetError } from '../core/errors.ts';

/** PEM is read up to this length: larger input is refused before it is looked at. */
const MAX_CHARACTERS = 1_000_000;
const LINE = 64;

const block = (label: string) => new RegExp(`-----BEGIN ${label}-----[ \\t]*\\r?\\n([A-Za-z0-9+/=\\r\\n\\t ]*)-----END ${label}-----`, 'g');

/** Every block of the label, DER, in order. Explanatory text between blocks is allowed (RFC 7468 §2), headers inside are not. @throws SignetError csr-malformed */
export function decodePemAll(text: string, label: string): Buffer[] {
  if (text.length > MAX_CHARACTERS) throw new SignetError('csr-malformed', `PEM of more than ${MAX_CHARACTERS} characters`);
  return [...text.matchAll(block(label))].map((match) => decodeBase64(match[1] ?? '', label));
}

/** The one block of the label, DER. @throws SignetError csr-malformed when there is none or more than one */
export function decodePem(text: string, label: string): Buffer {
  const [first, ...more] = decodePemAll(text, label);
  if (first === undefined || more.length > 0) throw new SignetError('csr-malformed', `expected exactly one PEM block "${label}"`);
  return first;
}

function decodeBase64(body: string, label: string): Buffer {
  const packed = body.replace(/\s+/g, '');
  const bytes = Buffer.from(packed, 'base64');
  // Node skips what is not base64; writing it again shows whether everything was read (canonical padding, RFC 4648 §3.5).
  if (packed.length === 0 || bytes.toString('base64') !== packed) throw new SignetError('csr-malformed', `the PEM block "${label}" is not base64`);
  return bytes;
}

/** One PEM block, lines of 64 characters, with a final newline (RFC 7468 §3, strict). */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  let lines = '';
  for (let at = 0; at < base64.length; at += LINE) lines += `${base64.slice(at, at + LINE)}\n`;
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}
