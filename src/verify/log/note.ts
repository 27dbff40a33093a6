/**
 * Signed notes (C2SP signed-note): text, a blank line, and one line for each signature. Two kinds of keys are known: Ed25519 over the text (0x01), which a log signs with,
 * and the cosignature of a witness (0x04, C2SP tlog-cosignature), which carries the time at which the witness saw the log so. Signatures by other keys are passed over.
 */
import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import { isSmallOrderPoint } from '../../x509/keys/ed25519.ts';
import { LogError } from './log-error.ts';

/** Signature type identifiers (C2SP signed-note, "Signature types"). */
const TYPES = { ed25519: 0x01, cosignature: 0x04 } as const;
export type NoteKeyType = keyof typeof TYPES;

const KEY_OCTETS = 32;
const SIGNATURE_OCTETS = 64;
const TIMESTAMP_OCTETS = 8;
/** The last second that RFC 3339 can write: 9999-12-31T23:59:59Z. */
const LAST_SECOND = 253_402_300_799n;
/** Octets of a note; a signature of another kind may be 5 kB, and verifiers must accept 16. */
export const MAX_NOTE_OCTETS = 131_072;
const MAX_SIGNATURES = 64;

export interface NoteSignature {
  /** Name of the key, which is not yet known to be true. */
  name: string;
  keyId: Buffer;
  signature: Buffer;
}

export interface Note {
  /** What is signed, the last newline included. */
  text: string;
  signatures: NoteSignature[];
}

/** A key that notes are checked with. */
export interface NoteKey {
  name: string;
  type: NoteKeyType;
  keyId: Buffer;
  publicKey: Buffer;
  key: KeyObject;
}

const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;
const NAME = /^[^\s+\u0000-\u001f\u0085]{1,255}$/u;
const LINE = /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})$/u;

/** Whether a key may have this name: no white space, no plus sign. */
export const isKeyName = (name: string): boolean => NAME.test(name);

/** Standard base64 (RFC 4648 §4) in its one spelling. */
export function decodeBase64(text: string): Buffer | undefined {
  const octets = Buffer.from(text, 'base64');
  return octets.toString('base64') === text ? octets : undefined;
}

/** Reads a note; nothing in it is believed yet. @throws LogError */
export function parseNote(input: string | Uint8Array): Note {
  const octets = typeof input === 'string' ? Buffer.from(input, 'utf8') : input;
  if (octets.length > MAX_NOTE_OCTETS) throw new LogError('malformed-note', `a note has at most ${MAX_NOTE_OCTETS} octets`);
  const whole = decodeText(octets);
  const end = whole.lastIndexOf('\n\n');
  if (end < 0 || CONTROL.test(whole) || !whole.endsWith('\n')) throw new LogError('malformed-note', 'this is not a signed note');
  const lines = whole.slice(end + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw new LogError('malformed-note', `a note has at most ${MAX_SIGNATURES} signatures`);
  return { text: whole.slice(0, end + 1), signatures: lines.map(parseSignatureLine) };
}

function decodeText(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    throw new LogError('malformed-note', 'the note is not UTF-8');
  }
}

/** One line of a signature, without its newline. @throws LogError */
export function parseSignatureLine(line: string): NoteSignature {
  const [, name = '', encoded = ''] = LINE.exec(line) ?? [];
  const octets = decodeBase64(encoded);
  if (!isKeyName(name) || !octets || octets.length < 5) throw new LogError('malformed-note', 'a line of the note is not a signature');
  return { name, keyId: octets.subarray(0, 4), signature: octets.subarray(4) };
}

/** The line of a signature, newline included. */
export const signatureLine = ({ name, keyId, signature }: NoteSignature): string => `\u2014 ${name} ${Buffer.concat([keyId, signature]).toString('base64')}\n`;

/** A note as it is stored and sent. `text` ends in a newline. */
export const formatNote = ({ text, signatures }: Note): string => `${text}\n${signatures.map(signatureLine).join('')}`;

/** First four octets of SHA-256(name ‖ newline ‖ type ‖ public key). */
export const keyIdOf = (name: string, type: NoteKeyType, publicKey: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), Buffer.from([TYPES[type]]), publicKey]), 'buffer').subarray(0, 4);

/** A key from its 32 octets (RFC 8032). @throws LogError for a name or key that proves nothing */
export function noteKey(name: string, type: NoteKeyType, publicKey: Uint8Array): NoteKey {
  const octets = Buffer.from(publicKey);
  if (!isKeyName(name)) throw new LogError('malformed-key', 'the name of a key is without spaces and plus signs, and not empty');
  if (octets.length !== KEY_OCTETS || isSmallOrderPoint(octets)) throw new LogError('malformed-key', 'this is not a usable Ed25519 public key');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: octets.toString('base64url') }, format: 'jwk' });
  return { name, type, keyId: keyIdOf(name, type, octets), publicKey: octets, key };
}

/** `<name>+<key id in hex>+<base64 of type and key>`: how a key is given to whoever checks. */
export const formatVerifierKey = ({ name, type, keyId, publicKey }: Pick<NoteKey, 'name' | 'type' | 'keyId' | 'publicKey'>): string =>
  `${name}+${keyId.toString('hex')}+${Buffer.concat([Buffer.from([TYPES[type]]), publicKey]).toString('base64')}`;

const VERIFIER_KEY = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/;

/** Reads such a line. @throws LogError */
export function parseVerifierKey(text: string): NoteKey {
  const [, name = '', keyId = '', encoded = ''] = (text.length <= 512 ? VERIFIER_KEY.exec(text) : null) ?? [];
  const octets = decodeBase64(encoded);
  const type = (Object.keys(TYPES) as NoteKeyType[]).find((known) => TYPES[known] === octets?.[0]);
  if (!octets || name === '') throw new LogError('malformed-key', 'a verifier key is <name>+<key id>+<base64>');
  if (!type) throw new LogError('malformed-key', 'the key is of a kind that is not known here: Ed25519 (0x01) and cosignature/v1 (0x04) are');
  const key = noteKey(name, type, octets.subarray(1));
  if (key.keyId.toString('hex') !== keyId) throw new LogError('malformed-key', 'the id of the key does not fit its name and octets');
  return key;
}

/** What a witness signs (C2SP tlog-cosignature). `time`: seconds since 1970. */
export const cosignedMessage = (text: string, time: number | bigint): Buffer => Buffer.from(`cosignature/v1\ntime ${time}\n${text}`, 'utf8');

/** The octets of a cosignature: time, then signature. */
export function encodeCosignature(time: number, signature: Uint8Array): Buffer {
  const octets = Buffer.alloc(TIMESTAMP_OCTETS + SIGNATURE_OCTETS);
  octets.writeBigUInt64BE(BigInt(time));
  octets.set(signature, TIMESTAMP_OCTETS);
  return octets;
}

/** A signature that holds. `time`: when the witness saw it so (seconds since 1970); a log's own signature says no time. */
export interface VerifiedSignature {
  name: string;
  time?: number;
}

/**
 * The signature of a key on a note, or undefined where it bears none. Name and key id choose it; a second one by the same key is checked too: one false
 * signature in the name of a known key spoils the note. @throws LogError `bad-signature`
 */
export function verifyNote(note: Note, key: NoteKey): VerifiedSignature | undefined {
  let found: VerifiedSignature | undefined;
  for (const candidate of note.signatures) {
    if (candidate.name !== key.name || !candidate.keyId.equals(key.keyId)) continue;
    const verified = verifySignature(note.text, candidate.signature, key);
    if (!verified) throw new LogError('bad-signature', `the signature of ${key.name} does not hold`);
    found ??= verified;
  }
  return found;
}

function verifySignature(text: string, signature: Buffer, key: NoteKey): VerifiedSignature | undefined {
  if (key.type === 'ed25519') {
    return signature.length === SIGNATURE_OCTETS && verify(null, Buffer.from(text, 'utf8'), key.key, signature) ? { name: key.name } : undefined;
  }
  if (signature.length !== TIMESTAMP_OCTETS + SIGNATURE_OCTETS) return undefined;
  const time = signature.readBigUInt64BE();
  if (time > LAST_SECOND) return undefined;
  return verify(null, cosignedMessage(text, time), key.key, signature.subarray(TIMESTAMP_OCTETS)) ? { name: key.name, time: Number(time) } : undefined;
}
