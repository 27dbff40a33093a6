import type { KeyObject } from 'node:crypto';
import type { KeyAlgorithm } from '../x509/algorithms.ts';

/** What a key is for; part of what its seal authenticates, so that a sealed key cannot be moved to another role. */
export type KeyPurpose = 'root' | 'issuing' | 'ocsp' | 'tls' | 'feed' | 'log';

export interface StoredKey {
  id: string;
  algorithm: KeyAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  spki: Buffer;
}

export interface SigningKey extends StoredKey {
  /**
   * Signature over `data` with the algorithm's one signature scheme (x509/algorithms.ts), in the form X.509 carries
   * (ECDSA as DER SEQUENCE {r, s}). May be retried; every call may give other bytes. @throws SignetError `internal` when the store cannot sign
   */
  sign(data: Uint8Array): Promise<Buffer>;
  /**
   * The same over parts one after the other, for what is too long to be held or hashed at a stretch. A scheme that hashes by itself (Ed25519, RFC 8032 §5.1.6) reads
   * its message twice and needs it whole: then it is put together, and signed in another thread.
   */
  signParts(parts: AsyncIterable<Uint8Array>): Promise<Buffer>;
}

/** Holds private keys. One contract suite for every implementation: test/unit/keystore/contract.ts. */
export interface KeyStore {
  readonly kind: string;
  /** Makes a key pair. Durable when the promise resolves; an unreferenced key is harmless. */
  generate(algorithm: KeyAlgorithm, purpose: KeyPurpose): Promise<StoredKey>;
  /** Opens a key for signing; opened keys are cached by the store. @throws SignetError `internal` for an unknown id or a seal that does not open */
  open(id: string): Promise<SigningKey>;
  /** Resolves when the store can be used, for /readyz. */
  check(): Promise<void>;
}

/** Optional capability: the private key can leave the store, for TLS (node:tls wants the key itself). */
export interface ExportingKeyStore extends KeyStore {
  exportPrivateKey(id: string): Promise<KeyObject>;
}

/** Seals short secrets that must rest in the database for a while (idempotent answers). `context` is authenticated. */
export interface SecretSealer {
  seal(context: string, plain: Uint8Array): Buffer;
  /** @throws SignetError `internal` when the seal or the context is not the one it was made with */
  open(context: string, sealed: Uint8Array): Buffer;
}
