import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import * as x509 from '@peculiar/x509';

export type NewKeyType = 'ecdsa-p256' | 'ecdsa-p384' | 'ed25519';

const ALGORITHMS: Record<NewKeyType, webcrypto.EcKeyAlgorithm & { hash?: string }> = {
  'ecdsa-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ecdsa-p384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  ed25519: { name: 'Ed25519', namedCurve: 'Ed25519' },
};

/** A fresh key pair (PKCS#8, PEM) and a CSR (PEM) that proves it. The subject is empty: names come from the registration. */
export async function makeKeyAndCsr(type: NewKeyType = 'ecdsa-p256'): Promise<{ key: string; csr: string }> {
  // @peculiar/webcrypto has no Ed25519 under this name; node's own does.
  const provider = type === 'ed25519' ? globalThis.crypto : (new Crypto() as unknown as webcrypto.Crypto);
  const algorithm = ALGORITHMS[type];
  const keys = await provider.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: '', keys, signingAlgorithm: algorithm, extensions: [], attributes: [] }, provider);
  const pkcs8 = Buffer.from(await provider.subtle.exportKey('pkcs8', keys.privateKey));
  return { key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') + '\n', csr: request.toString('pem') + '\n' };
}
