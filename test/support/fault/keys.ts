import { createHash } from 'node:crypto';
import { makeCsr, makeKey } from '../csr.ts';

/** A fresh P-256 key with the CSR that proves it. */
export interface KeyAndCsr {
  /** PKCS#8, PEM. */
  key: string;
  /** DER in base64, as the API takes it. */
  csr: string;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  keyHash: Buffer;
}

/** An empty subject and no attributes: names come from the registration. */
export function makeKeyAndCsr(): KeyAndCsr {
  const key = makeKey();
  return { key: key.pem, csr: makeCsr({ key }).toString('base64'), keyHash: createHash('sha256').update(key.spki).digest() };
}
