import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SignetError } from '../core/errors.ts';
import { escapeStep } from './parse.ts';

/** The client went away before its request was whole: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

const EMPTY = Buffer.alloc(0);

/**
 * Reads the whole body, never more than `limit` octets of it. What is over the limit is thrown away unread by us while the refusal goes out, so that
 * the client gets to see it; the server's requestTimeout bounds how long that may take.
 * @throws SignetError `body-too-large`; ClientGone
 */
export function readBody(req: IncomingMessage, res: ServerResponse, limit: number): Promise<Buffer> {
  const declared = req.headers['content-length'];
  if (declared === undefined && req.headers['transfer-encoding'] === undefined) return Promise.resolve(EMPTY);
  if (Number(declared) > limit) return Promise.reject(tooLarge(limit));
  // The listener for `checkContinue` leaves this to us: a refused request is never asked for its body.
  if (req.headers.expect !== undefined) res.writeContinue();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    req.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) {
        chunks.push(chunk);
        return;
      }
      req.removeAllListeners('data');
      req.resume();
      reject(tooLarge(limit));
    });
    let ended = false;
    req.on('end', () => {
      ended = true;
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length));
    });
    req.on('error', () => reject(new ClientGone('the connection broke')));
    // Every request is closed, after its end as a rule: an error that nobody gets costs its stack trace, 2 % of an issuance.
    req.on('close', () => ended || reject(new ClientGone('the connection was closed')));
  });
}

const tooLarge = (limit: number) => new SignetError('body-too-large', `the body may have at most ${limit} octets`);

/**
 * A JSON value of at most `maxDepth` nested objects and arrays. An empty body is an empty object: requests without a word to say need not say it.
 * @throws SignetError `malformed-json`, `json-too-deep`, `invalid-request`
 */
export function parseJson(body: Buffer, maxDepth: number): unknown {
  if (body.length === 0) return {};
  if (!isUtf8(body)) throw new SignetError('malformed-json', 'the body is not valid UTF-8');
  // Judged before parsing: nothing of ours ever walks a value that is too deep.
  if (!isWithinDepth(body, maxDepth)) throw new SignetError('json-too-deep', `objects and arrays may be nested at most ${maxDepth} deep`);
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new SignetError('malformed-json', 'the body is not one JSON value');
  }
  const path = prototypePath(value);
  if (path !== undefined) throw new SignetError('invalid-request', `${path}: is not known here`, { fields: [{ path, message: 'is not known here' }] });
  return value;
}

/** Where a member is named `__proto__`, as a JSON pointer: schemas pass over it, and what is sent is refused, never dropped. */
function prototypePath(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const below = name === '__proto__' ? '' : prototypePath(member);
    if (below !== undefined) return `/${escapeStep(name)}${below}`;
  }
  return undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
const CLOSE_ARRAY = 0x5d;
const CLOSE_OBJECT = 0x7d;

/** Counts brackets outside strings: octets of multi-byte characters are never one of them. */
function isWithinDepth(body: Buffer, maxDepth: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < body.length; i++) {
    const octet = body[i];
    if (inString) {
      if (octet === BACKSLASH) i++;
      else if (octet === QUOTE) inString = false;
    } else if (octet === QUOTE) inString = true;
    else if (octet === OPEN_ARRAY || octet === OPEN_OBJECT) {
      if (++depth > maxDepth) return false;
    } else if (octet === CLOSE_ARRAY || octet === CLOSE_OBJECT) depth--;
  }
  return true;
}
