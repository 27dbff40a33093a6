import { createPublicKey, verify } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { SignetError } from '../../../src/core/errors.ts';
import type { ExportingKeyStore, KeyPurpose, KeyStore } from '../../../src/keystore/key-store.ts';
import { ALGORITHMS, type KeyAlgorithm } from '../../../src/x509/algorithms.ts';

export interface KeyStoreUnderTest {
  keyStore: KeyStore;
  /** The same keys seen by a fresh process. */
  reopen: () => Promise<KeyStore>;
}

const DATA = Buffer.from('to be signed');
const PURPOSES: KeyPurpose[] = ['root', 'issuing', 'ocsp', 'tls', 'feed'];

/** What every key store must do. `unsupported`: algorithms this kind says it does not have. */
export function keyStoreContract(name: string, make: () => Promise<KeyStoreUnderTest>, unsupported: readonly KeyAlgorithm[] = []): void {
  const algorithms = (Object.keys(ALGORITHMS) as KeyAlgorithm[]).filter((algorithm) => !unsupported.includes(algorithm));
  const checks = (algorithm: KeyAlgorithm, spki: Buffer, signature: Buffer): boolean =>
    verify(ALGORITHMS[algorithm].signature.digest, DATA, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature);

  test.each(algorithms)(`${name}: a generated %s key signs, and its public key verifies`, async (algorithm) => {
    const { keyStore } = await make();
    const made = await keyStore.generate(algorithm, 'issuing');
    const key = await keyStore.open(made.id);
    expect(key).toMatchObject({ id: made.id, algorithm, spki: made.spki });
    expect(checks(algorithm, made.spki, await key.sign(DATA))).toBe(true);
  });

  test.each(algorithms)(`${name}: a %s key signs parts as the whole`, async (algorithm) => {
    const { keyStore } = await make();
    const { id, spki } = await keyStore.generate(algorithm, 'issuing');
    const key = await keyStore.open(id);
    for (const parts of [[DATA], [...DATA].map((octet) => Buffer.of(octet)), [Buffer.alloc(0), DATA, Buffer.alloc(0)]]) expect(checks(algorithm, spki, await key.signParts(Readable.from(parts)))).toBe(true);
  });

  test(`${name}: a key outlives the process that made it`, async () => {
    const { keyStore, reopen } = await make();
    const { id, spki } = await keyStore.generate('ecdsa-p256', 'root');
    const again = await (await reopen()).open(id);
    expect(again.spki.equals(spki)).toBe(true);
    expect(checks('ecdsa-p256', spki, await again.sign(DATA))).toBe(true);
  });

  test(`${name}: every key has an id and a key pair of its own`, async () => {
    const { keyStore } = await make();
    const keys = await Promise.all(PURPOSES.map((purpose) => keyStore.generate('ed25519', purpose)));
    expect(new Set(keys.map((key) => key.id)).size).toBe(PURPOSES.length);
    expect(new Set(keys.map((key) => key.spki.toString('hex'))).size).toBe(PURPOSES.length);
  });

  test(`${name}: an unknown id is refused, again and again`, async () => {
    const { keyStore } = await make();
    for (let i = 0; i < 2; i++) await expect(keyStore.open('01JAAAAAAAAAAAAAAAAAAAAAAA')).rejects.toMatchObject({ name: 'SignetError', code: 'internal' });
  });

  test(`${name}: signs many at the same time`, async () => {
    const { keyStore } = await make();
    const { id, spki } = await keyStore.generate('ecdsa-p256', 'issuing');
    const signatures = await Promise.all(Array.from({ length: 32 }, async () => (await keyStore.open(id)).sign(DATA)));
    expect(signatures.every((signature) => checks('ecdsa-p256', spki, signature))).toBe(true);
  });

  test(`${name}: can be used`, async () => {
    const { keyStore } = await make();
    await expect(keyStore.check()).resolves.toBeUndefined();
  });
}

/** What a key store with the capability to export must do besides. */
export function exportingContract(name: string, make: () => Promise<{ keyStore: ExportingKeyStore }>): void {
  test(`${name}: exports a TLS key, whole`, async () => {
    const { keyStore } = await make();
    const { id, spki } = await keyStore.generate('ecdsa-p256', 'tls');
    const key = await keyStore.exportPrivateKey(id);
    expect(key.type).toBe('private');
    expect(createPublicKey(key).export({ type: 'spki', format: 'der' }).equals(spki)).toBe(true);
  });

  test.each(PURPOSES.filter((purpose) => purpose !== 'tls'))(`${name}: does not export a key of purpose %s`, async (purpose) => {
    const { keyStore } = await make();
    const { id } = await keyStore.generate('ecdsa-p256', purpose);
    await expect(keyStore.exportPrivateKey(id)).rejects.toBeInstanceOf(SignetError);
  });
}
