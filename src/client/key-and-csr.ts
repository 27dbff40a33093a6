import 'reflect-metadata';
import { createPublicKey, type webcrypto } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import * as x509 from '@peculiar/x509';

export type NewKeyType = 'ecdsa-p256' | 'ecdsa-p384' | 'ed25519';

const ALGORITHMS: Record<NewKeyType, webcrypto.EcKeyAlgorithm & { hash?: string }> = {
  'ecdsa-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ecdsa-p384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  ed25519: { name: 'Ed25519', namedCurve: 'Ed25519' },
};

/** The key type of a private key (PKCS#8, PEM), or undefined for one that is not made here. */
export function keyTypeOf(key: string): NewKeyType | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey(key);
  if (asymmetricKeyType === 'ed25519') return 'ed25519';
  return ({ prime256v1: 'ecdsa-p256', secp384r1: 'ecdsa-p384' } as const)[asymmetricKeyDetails?.namedCurve ?? ''];
}

/**
 * A key pair (PKCS#8, PEM) and a CSR (PEM) that proves it. The key is made, or is `kept` of the same type: the CSR of a request that is repeated must
 * have the key of the first. The subject is empty: names come from the registration.
 */
export async function makeKeyAndCsr(type: NewKeyType = 'ecdsa-p256', kept?: string): Promise<{ key: string; csr: string }> {
  // @peculiar/webcrypto has no Ed25519 under this name; node's own does.
  const provider = type === 'ed25519' ? globalThis.crypto : (new Crypto() as unknown as webcrypto.Crypto);
  const algorithm = ALGORITHMS[type];
  const keys = kept === undefined ? await provider.subtle.generateKey(algorithm, true, ['sign', 'verify']) : await importPair(provider, algorithm, kept);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: '', keys, signingAlgorithm: algorithm, extensions: [], attributes: [] }, provider);
  const pkcs8 = Buffer.from(await provider.subtle.exportKey('pkcs8', keys.privateKey));
  return { key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') + '\n', csr: request.toString('pem') + '\n' };
}

async function importPair(provider: webcrypto.Crypto, algorithm: webcrypto.EcKeyAlgorithm, key: string): Promise<webcrypto.CryptoKeyPair> {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return {
    privateKey: await provider.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(key), algorithm, true, ['sign']),
    publicKey: await provider.subtle.importKey('spki', spki, algorithm, true, ['verify']),
  };
}
