import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Random } from '../../../src/core/random.ts';
import { seal, unseal } from '../../../src/keystore/software/seal.ts';

const KEK = Buffer.alloc(32, 7);
const CONTEXT = ['private-key', 'id'];
const PLAIN = Buffer.from('a secret');

/** 0, 1, 2, … */
function counting(): Random {
  let next = 0;
  return { bytes: (length) => Uint8Array.from({ length }, () => next++ & 0xff) };
}

test('seal is version, salt, nonce, ciphertext and tag, byte for byte', () => {
  expect(seal(KEK, CONTEXT, PLAIN, counting()).toString('hex')).toBe(
    // Computed with Python's cryptography: HKDF(SHA256, 32, salt, b"signet seal v1"), AESGCM, AAD '["private-key","id"]'.
    '01000102030405060708090a0b0c0d0e0f101112131415161718191a1b297abc8e89c22dd23ffd237c6a82be85a4a012870f887650',
  );
});

test('unseal gives back what was sealed, empty too', () => {
  for (const plain of [PLAIN, Buffer.alloc(0), Buffer.alloc(5000, 1)]) {
    expect(unseal(KEK, CONTEXT, seal(KEK, CONTEXT, plain, counting()))?.equals(plain)).toBe(true);
  }
});

test('unseal refuses another key, another context, and contexts that only look alike', () => {
  const sealed = seal(KEK, CONTEXT, PLAIN, counting());
  expect(unseal(Buffer.alloc(32, 8), CONTEXT, sealed)).toBeUndefined();
  for (const other of [['private-key', 'id2'], ['private-key'], ['private-key', 'id', ''], ['private-keyid'], ['id', 'private-key']]) expect(unseal(KEK, other, sealed)).toBeUndefined();
});

test('unseal refuses every flipped bit, every truncation and any other bytes', () => {
  const sealed = seal(KEK, CONTEXT, PLAIN, counting());
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(unseal(KEK, CONTEXT, changed)).toBeUndefined();
  }
  for (let length = 0; length < sealed.length; length++) expect(unseal(KEK, CONTEXT, sealed.subarray(0, length))).toBeUndefined();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => unseal(KEK, CONTEXT, bytes) === undefined), { seed: 1, numRuns: 300 });
});
