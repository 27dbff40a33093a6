/** Textual encodings (RFC 7468), strict: the label asked for, lines of 64 characters, canonical base64, nothing around the blocks but blank space. */
import { SignetError, type ErrorCode } from '../core/errors.ts';

const LINE = 64;

/** One block, ending in a newline. */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  let text = `-----BEGIN ${label}-----\n`;
  for (let at = 0; at < base64.length; at += LINE) text += `${base64.slice(at, at + LINE)}\n`;
  return `${text}-----END ${label}-----\n`;
}

/** DER of the one block in `text`. @throws SignetError `csr-malformed` for requests, `invalid-request` for other labels */
export function decodePem(text: string, label: string): Buffer {
  const [der, second] = decodePemAll(text, label);
  if (!der || second) throw fault(label, `expected one PEM block of ${label}, found ${der ? 'more' : 'none'}`);
  return der;
}

/** DER of every block in `text`, in order; all must have this label. @throws SignetError as decodePem */
export function decodePemAll(text: string, label: string): Buffer[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Buffer[] = [];
  for (let at = skipBlank(text, 0); at < text.length; ) {
    if (!text.startsWith(begin, at)) throw fault(label, `PEM must be blocks of ${label} and nothing else`);
    const start = at + begin.length;
    const stop = text.indexOf('-----', start);
    if (stop < 0 || !text.startsWith(end, stop)) throw fault(label, `PEM block of ${label} has no end`);
    blocks.push(decodeLines(text.slice(start, stop), label));
    at = stop + end.length;
    const next = skipBlank(text, at);
    if (next === at && at < text.length) throw fault(label, 'PEM end line has something behind it');
    at = next;
  }
  return blocks;
}

/** Base64 in lines of 64, the last one shorter or full (RFC 7468 §3); the line before the first and after the last are the frame's. */
function decodeLines(body: string, label: string): Buffer {
  const lines = body.split(/\r?\n/);
  const content = lines.slice(1, -1);
  const last = content.length - 1;
  const framed = lines[0] === '' && lines.at(-1) === '' && last >= 0;
  if (!framed || content.some((line, i) => (i < last ? line.length !== LINE : line.length === 0 || line.length > LINE))) {
    throw fault(label, 'PEM lines must have 64 characters, the last one at most');
  }
  const base64 = content.join('');
  const der = Buffer.from(base64, 'base64');
  // Node skips what is not base64; what it understood must be what was written.
  if (der.toString('base64') !== base64) throw fault(label, 'PEM content is not base64');
  return der;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at++;
  return at;
}

const fault = (label: string, detail: string): SignetError => {
  const code: ErrorCode = label.endsWith('CERTIFICATE REQUEST') ? 'csr-malformed' : 'invalid-request';
  return new SignetError(code, detail);
};
