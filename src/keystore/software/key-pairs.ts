import { generateKeyPair, type KeyPairKeyObjectResult } from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyAlgorithm } from '../../x509/algorithms.ts';

const generate = promisify(generateKeyPair);
const rsa = (modulusLength: number) => () => generate('rsa', { modulusLength, publicExponent: 0x10001 });

/** How OpenSSL makes each kind of key. Its own generator is used: node:crypto takes no random source for key pairs. */
const GENERATORS: Readonly<Record<KeyAlgorithm, () => Promise<KeyPairKeyObjectResult>>> = {
  'ecdsa-p256': () => generate('ec', { namedCurve: 'P-256' }),
  'ecdsa-p384': () => generate('ec', { namedCurve: 'P-384' }),
  ed25519: () => generate('ed25519'),
  'rsa-2048': rsa(2048),
  'rsa-3072': rsa(3072),
  'rsa-4096': rsa(4096),
};

/** A new key pair, DER. The caller clears `pkcs8`. */
export async function makeKeyPair(algorithm: KeyAlgorithm): Promise<{ spki: Buffer; pkcs8: Buffer }> {
  const { publicKey, privateKey } = await GENERATORS[algorithm]();
  return { spki: publicKey.export({ type: 'spki', format: 'der' }), pkcs8: privateKey.export({ type: 'pkcs8', format: 'der' }) };
}
