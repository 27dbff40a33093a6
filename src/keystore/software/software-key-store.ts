import { createPrivateKey, createSign, sign, type KeyObject } from 'node:crypto';
import { SignetError } from '../../core/errors.ts';
import { ulid } from '../../core/random.ts';
import { findKek, findSealedKey, insertSealedKey } from '../../db/keystore.ts';
import { ALGORITHMS, type KeyAlgorithm } from '../../x509/algorithms.ts';
import type { ExportingKeyStore, KeyPurpose, SecretSealer, SigningKey, StoredKey } from '../key-store.ts';
import { makeKeyPair } from './key-pairs.ts';
import { opensCheckValue, type Kek, type KekDeps } from './kek.ts';
import { seal, unseal } from './seal.ts';

/** So many are copied at a stretch. */
const FEW_PARTS = 4;
/** Lets the event loop go round once. */
const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Opened keys kept in memory. Responder and TLS keys are replaced all the time; those in use are far fewer. */
const OPENED_KEYS_MAX = 256;

interface OpenedKey {
  signing: SigningKey;
  purpose: string;
  privateKey: KeyObject;
}

const sealContext = (key: { id: string; purpose: string; algorithm: string; spki: Buffer }) => ['private-key', key.id, key.purpose, key.algorithm, key.spki.toString('base64')];

/**
 * Private keys as PKCS#8 in Postgres, each sealed under the key-encryption key and bound to its id, purpose, algorithm and public key.
 * They are in the clear in the memory of the process only.
 */
export function createSoftwareKeyStore(deps: KekDeps, kek: Kek): ExportingKeyStore {
  const opened = new Map<string, Promise<OpenedKey>>();

  async function load(id: string): Promise<OpenedKey> {
    const row = await findSealedKey(deps.db, id);
    if (row === undefined) throw new SignetError('internal', `no key ${id} in the key store`);
    if (row.sealedPkcs8 === null) throw new SignetError('internal', `key ${id} was destroyed`);
    const pkcs8 = unseal(kek.key, sealContext(row), row.sealedPkcs8);
    if (pkcs8 === undefined) throw new SignetError('internal', `the seal of key ${id} does not open`);
    const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    pkcs8.fill(0);
    const stored = { id, algorithm: row.algorithm as KeyAlgorithm, spki: row.spki };
    return { signing: signingKey(stored, privateKey), purpose: row.purpose, privateKey };
  }

  function open(id: string): Promise<OpenedKey> {
    const known = opened.get(id);
    if (known !== undefined) return known;
    const loading = load(id);
    opened.set(id, loading);
    // A failure is not remembered: the database may be back a moment later.
    loading.catch(() => opened.delete(id));
    const oldest = opened.keys().next();
    if (opened.size > OPENED_KEYS_MAX && oldest.done === false) opened.delete(oldest.value);
    return loading;
  }

  return {
    kind: 'software',
    async generate(algorithm, purpose) {
      const { spki, pkcs8 } = await makeKeyPair(algorithm);
      const now = deps.clock.now();
      const key = { id: ulid(now, deps.random), algorithm, purpose, spki };
      const sealedPkcs8 = seal(kek.key, sealContext(key), pkcs8, deps.random);
      pkcs8.fill(0);
      await insertSealedKey(deps.db, { ...key, sealedPkcs8, kekId: kek.id, createdAt: now });
      return { id: key.id, algorithm, spki } satisfies StoredKey;
    },
    open: async (id) => (await open(id)).signing,
    async exportPrivateKey(id) {
      const key = await open(id);
      if (key.purpose !== ('tls' satisfies KeyPurpose)) throw new SignetError('internal', `key ${id} is for ${key.purpose} and does not leave the key store`);
      return key.privateKey;
    },
    async check() {
      const row = await findKek(deps.db);
      if (row === undefined || !opensCheckValue(kek, row)) throw new SignetError('internal', 'the database is no longer sealed under this key-encryption key');
    },
  };
}

function signingKey(stored: StoredKey, privateKey: KeyObject): SigningKey {
  const { digest } = ALGORITHMS[stored.algorithm].signature;
  return {
    ...stored,
    // Handing it to another thread takes 27 of 34 µs off this one and costs as much in all: nothing is gained where each core has a worker.
    sign: (data) => new Promise((resolve) => resolve(sign(digest, data, privateKey))),
    signParts: (parts) => (digest === null ? signWhole(parts, privateKey) : signHashed(digest, parts, privateKey)),
  };
}

async function signHashed(digest: string, parts: AsyncIterable<Uint8Array>, privateKey: KeyObject): Promise<Buffer> {
  const signer = createSign(digest);
  for await (const part of parts) signer.update(part);
  return signer.sign(privateKey);
}

async function signWhole(parts: AsyncIterable<Uint8Array>, privateKey: KeyObject): Promise<Buffer> {
  const kept: Uint8Array[] = [];
  for await (const part of parts) kept.push(part);
  const message = Buffer.allocUnsafeSlow(kept.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of kept) {
    message.set(part, at);
    at += part.length;
    if (kept.length > FEW_PARTS) await aTurn();
  }
  return new Promise((resolve, reject) => {
    sign(null, message, privateKey, (error, signature) => (error === null ? resolve(signature) : reject(error)));
  });
}

/** Seals short secrets under the same key-encryption key. */
export function createSealer(deps: Pick<KekDeps, 'random'>, kek: Kek): SecretSealer {
  const contextOf = (context: string) => ['secret', context];
  return {
    seal: (context, plain) => seal(kek.key, contextOf(context), plain, deps.random),
    open(context, sealed) {
      const plain = unseal(kek.key, contextOf(context), sealed);
      if (plain === undefined) throw new SignetError('internal', 'the seal of a stored secret does not open');
      return plain;
    },
  };
}
