import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { bitString, context, integer, oid, sequence } from '../../../src/x509/der/writer.ts';

/** A fresh P-256 key with the CSR that proves it. */
export interface KeyAndCsr {
  /** PKCS#8, PEM. */
  key: string;
  /** DER in base64, as the API takes it. */
  csr: string;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  keyHash: Buffer;
}

const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

/** An empty subject and no attributes (RFC 2986 §4): names come from the registration. */
export function makeKeyAndCsr(): KeyAndCsr {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const info = sequence(integer(0), sequence(), spki, context(0));
  const csr = sequence(info, ECDSA_WITH_SHA256, bitString(sign('sha256', info, privateKey)));
  return {
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    csr: csr.toString('base64'),
    keyHash: createHash('sha256').update(spki).digest(),
  };
}
