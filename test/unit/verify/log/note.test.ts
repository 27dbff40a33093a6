import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { formatCheckpoint, openCheckpoint, parseCheckpoint, type CheckpointTrust } from '../../../../src/verify/log/checkpoint.ts';
import { LogError, type LogFault } from '../../../../src/verify/log/log-error.ts';
import { EMPTY_ROOT, leafHash } from '../../../../src/verify/log/merkle.ts';
import { cosignedMessage, encodeCosignature, formatNote, formatVerifierKey, noteKey, parseNote, parseVerifierKey, verifyNote, type NoteKey, type NoteKeyType } from '../../../../src/verify/log/note.ts';
import { noteSigner, signNote } from '../../../support/log.ts';

/** The note and key that the Go implementation documents. */
const PUBLISHED = {
  key: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  note:
    'If you think cryptography is the answer to your problem,\nthen you don\'t know what your problem is.\n\n' +
    '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
};
/** The example of C2SP tlog-cosignature. */
const EXAMPLE =
  'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
  '\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n' +
  '\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n';

interface Signer {
  key: NoteKey;
  private: KeyObject;
}

function signer(name: string, type: NoteKeyType = 'ed25519'): Signer {
  const pair = generateKeyPairSync('ed25519');
  const x = pair.publicKey.export({ format: 'jwk' }).x ?? '';
  return { key: noteKey(name, type, Buffer.from(x, 'base64url')), private: pair.privateKey };
}

const signed = (text: string, ...signers: Signer[]): string =>
  formatNote({
    text,
    signatures: signers.map(({ key, private: secret }) => ({
      name: key.name,
      keyId: key.keyId,
      signature: key.type === 'ed25519' ? sign(null, Buffer.from(text), secret) : encodeCosignature(1_700_000_000, sign(null, cosignedMessage(text, 1_700_000_000), secret)),
    })),
  });

const faultOf = (work: () => unknown): LogFault | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof LogError) return error.fault;
    throw error;
  }
  return undefined;
};

describe('notes', () => {
  test('the published note holds by the published key, which reads and writes the same', () => {
    const key = parseVerifierKey(PUBLISHED.key);
    expect(verifyNote(parseNote(PUBLISHED.note), key)).toEqual({ name: 'PeterNeumann' });
    expect(formatVerifierKey(key)).toBe(PUBLISHED.key);
    expect(formatNote(parseNote(PUBLISHED.note))).toBe(PUBLISHED.note);
    expect(faultOf(() => verifyNote(parseNote(PUBLISHED.note.replace('problem is', 'problem was')), key))).toBe('bad-signature');
  });

  test('the example of a cosigned checkpoint can be read', () => {
    const note = parseNote(EXAMPLE);
    expect(note.signatures.map(({ name }) => name)).toEqual(['example.com/behind-the-sofa', 'witness.example.com/w1']);
    expect(note.signatures[1]?.signature.readBigUInt64BE()).toBe(1_679_315_147n);
    expect(parseCheckpoint(note.text)).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163, extensions: [] });
  });

  test('text may hold blank lines; the last one parts it from the signatures', () => {
    const log = signer('log.example');
    expect(parseNote(signed('one\n\ntwo\n', log)).text).toBe('one\n\ntwo\n');
  });

  test('a signature by another key of the same name, or the same id and another name, is passed over', () => {
    const [log, other] = [signer('log.example'), signer('log.example')];
    expect(verifyNote(parseNote(signed('text\n', other)), log.key)).toBeUndefined();
    expect(verifyNote(parseNote(signed('text\n', other, log)), log.key)).toEqual({ name: 'log.example' });
  });

  test('a false second signature in the name of a known key spoils the note', () => {
    const log = signer('log.example');
    const note = parseNote(signed('text\n', log));
    const [good] = note.signatures;
    if (!good) throw new Error('no signature');
    expect(faultOf(() => verifyNote({ ...note, signatures: [good, { ...good, signature: Buffer.alloc(64) }] }, log.key))).toBe('bad-signature');
  });

  test.each([
    ['nothing', ''],
    ['no blank line', 'text\n\u2014 a AAAAAAA=\n'],
    ['no signature', 'text\n\n'],
    ['no newline at the end', PUBLISHED.note.slice(0, -1)],
    ['a hyphen for the dash', PUBLISHED.note.replace('\u2014', '-')],
    ['a control character', PUBLISHED.note.replace('If', 'I\u0000f')],
    ['carriage returns', PUBLISHED.note.replaceAll('\n', '\r\n')],
    ['base64 of another spelling', 'text\n\n\u2014 a AAAAAAB=\n'],
    ['too few octets', 'text\n\n\u2014 a AAAAAA==\n'],
    ['a plus in the name', 'text\n\n\u2014 a+b AAAAAAA=\n'],
    ['too many signatures', `text\n\n${'\u2014 a AAAAAAA=\n'.repeat(65)}`],
    ['too many octets', `${'a'.repeat(131_073)}\n\n\u2014 a AAAAAAA=\n`],
  ])('%s is malformed', (_, note) => {
    expect(faultOf(() => parseNote(note))).toBe('malformed-note');
  });

  test('octets that are not UTF-8 are malformed', () => {
    expect(faultOf(() => parseNote(Buffer.concat([Buffer.from([0xff]), Buffer.from(PUBLISHED.note)])))).toBe('malformed-note');
  });

  test.each([
    ['nothing', ''],
    ['another id', PUBLISHED.key.replace('c74f20a3', 'c74f20a4')],
    ['another name', PUBLISHED.key.replace('Peter', 'Petra')],
    ['an unknown kind', 'PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'],
    ['a short key', 'PeterNeumann+c74f20a3+ARpc'],
    ['a private key', 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'],
    ['a key of small order', `a+00000000+${Buffer.concat([Buffer.from([1]), Buffer.alloc(32)]).toString('base64')}`],
  ])('a verifier key that is %s is malformed', (_, key) => {
    expect(faultOf(() => parseVerifierKey(key))).toBe('malformed-key');
  });
});

describe('checkpoints', () => {
  const log = signer('agents.example');
  const [w1, w2] = [signer('w1.example', 'cosignature'), signer('w2.example', 'cosignature')];
  const text = formatCheckpoint({ origin: 'agents.example', size: 7, root: leafHash(Buffer.from('x')) });
  const open = (note: string, trust: Partial<CheckpointTrust> = {}) => openCheckpoint(note, { logKey: log.key, ...trust });

  test('are believed by the log key, with the witnesses that cosigned', () => {
    const note = signed(text, log, w1);
    expect(open(note, { witnesses: [w1.key, w2.key], quorum: 1 })).toMatchObject({ origin: 'agents.example', size: 7, cosignatures: [{ name: 'w1.example', time: 1_700_000_000 }], note });
  });

  test('a witness counts once, and two are more than one', () => {
    const note = signed(text, log, w1);
    expect(faultOf(() => open(note, { witnesses: [w1.key, w1.key, w2.key], quorum: 2 }))).toBe('too-few-witnesses');
    expect(open(signed(text, log, w2, w1), { witnesses: [w1.key, w2.key], quorum: 2 }).cosignatures).toHaveLength(2);
  });

  test('a plain signature by the key of a witness is no cosignature', () => {
    const plain: Signer = { private: w1.private, key: noteKey(w1.key.name, 'ed25519', w1.key.publicKey) };
    expect(faultOf(() => open(signed(text, log, plain), { witnesses: [w1.key], quorum: 1 }))).toBe('too-few-witnesses');
    const dressed = formatNote({ text, signatures: [...parseNote(signed(text, log)).signatures, { name: w1.key.name, keyId: w1.key.keyId, signature: encodeCosignature(5, sign(null, Buffer.from(text), w1.private)) }] });
    expect(faultOf(() => open(dressed, { witnesses: [w1.key] }))).toBe('bad-signature');
  });

  test.each<[string, LogFault, string]>([
    ['by another log key', 'unknown-log-key', signed(text, signer('agents.example'))],
    ['of another log', 'wrong-origin', signed(text.replace('agents', 'others'), log)],
    ['with a size of another spelling', 'malformed-checkpoint', signed(text.replace('\n7\n', '\n07\n'), log)],
    ['with a negative size', 'malformed-checkpoint', signed(text.replace('\n7\n', '\n-7\n'), log)],
    ['with a size beyond 2^53', 'number-too-large', signed(text.replace('\n7\n', '\n9007199254740992\n'), log)],
    ['with a size beyond 2^64', 'malformed-checkpoint', signed(text.replace('\n7\n', `\n${'9'.repeat(21)}\n`), log)],
    ['with a root that is none', 'malformed-checkpoint', signed('agents.example\n7\nAAAA\n', log)],
    ['with two lines', 'malformed-checkpoint', signed('agents.example\n7\n', log)],
    ['with a blank line', 'malformed-checkpoint', signed(`${text}\nmore\n`, log)],
    ['empty, with another root', 'malformed-checkpoint', signed(formatCheckpoint({ origin: 'agents.example', size: 0, root: leafHash(Buffer.alloc(0)) }), log)],
  ])('%s: %s', (_, fault, note) => {
    expect(faultOf(() => open(note))).toBe(fault);
  });

  test('an empty tree and extension lines are read', () => {
    expect(open(signed(formatCheckpoint({ origin: 'agents.example', size: 0, root: EMPTY_ROOT }), log)).size).toBe(0);
    expect(open(signed(`${text}extra\n`, log)).extensions).toEqual(['extra']);
  });
});

test('a cosignature of a time that cannot be written as a date holds for nobody', () => {
  const [log, witness] = [noteSigner('agents.example'), noteSigner('witness.example', 'cosignature')];
  const text = formatCheckpoint({ origin: 'agents.example', size: 1, root: EMPTY_ROOT });
  const verified = (time: number) => openCheckpoint(signNote(text, [log, witness], time), { logKey: log.key, witnesses: [witness.key] }).cosignatures;
  expect(verified(253_402_300_799)).toEqual([{ name: 'witness.example', time: 253_402_300_799 }]);
  expect(() => verified(253_402_300_800)).toThrow(LogError);
  expect(() => verified(Number.MAX_SAFE_INTEGER)).toThrow(LogError);
});
