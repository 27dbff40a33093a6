import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { Random } from '../../core/random.ts';

/**
 * AES-256-GCM under a key of its own for every seal: HKDF-SHA256 (RFC 5869) of the key-encryption key with a random salt. So no key
 * ever sees two nonces, however many seals there are.
 * Layout: version (1) ‖ salt (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
 */
const VERSION = 0x01;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + SALT_BYTES + NONCE_BYTES;
const HKDF_INFO = 'signet seal v1';

/** Octets of a key-encryption key. */
export const KEK_BYTES = 32;

/** What a seal is bound to; authenticated, not stored. Order and number of the parts matter. */
export type SealContext = readonly string[];

const associatedData = (context: SealContext): Buffer => Buffer.from(JSON.stringify(context), 'utf8');
const sealKey = (kek: Uint8Array, salt: Uint8Array): Buffer => Buffer.from(hkdfSync('sha256', kek, salt, HKDF_INFO, 32));

/** `plain` sealed under `kek` and bound to `context`. */
export function seal(kek: Uint8Array, context: SealContext, plain: Uint8Array, random: Random): Buffer {
  const salt = random.bytes(SALT_BYTES);
  const nonce = random.bytes(NONCE_BYTES);
  const key = sealKey(kek, salt);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(associatedData(context));
  const sealed = Buffer.concat([Buffer.of(VERSION), salt, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  return sealed;
}

/** What `sealed` holds, or undefined when it was not made under this key for this context, or was changed. Never throws. */
export function unseal(kek: Uint8Array, context: SealContext, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < HEAD_BYTES + TAG_BYTES || sealed[0] !== VERSION) return undefined;
  const key = sealKey(kek, sealed.subarray(1, 1 + SALT_BYTES));
  const nonce = sealed.subarray(1 + SALT_BYTES, HEAD_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(associatedData(context));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(HEAD_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  } finally {
    key.fill(0);
  }
}
