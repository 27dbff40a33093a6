import type { webcrypto } from 'node:crypto';
import { SignetError } from '../core/errors.ts';
import type { CertificateIntent } from '../x509/tbs.ts';

/** Loaded when first needed: a replica that makes no authority certificate does without its memory. */
async function loadOracle() {
  // Must come first: @peculiar/x509 refuses to load without it.
  await import('reflect-metadata');
  const { X509Certificate } = await import('@peculiar/x509');
  const { Crypto } = await import('@peculiar/webcrypto');
  return { X509Certificate, crypto: new Crypto() as unknown as webcrypto.Crypto };
}

/**
 * A second opinion, by a library that shares no code with ours, on a certificate of the CA before it is stored: what was signed is what
 * was meant, and the signer's key verifies it (DESIGN invariant 2, §8). `signer` is DER, or undefined for a self-signed certificate.
 * @throws SignetError `internal` naming what differs
 */
export async function crossCheck(der: Buffer, intent: CertificateIntent, signer: Buffer | undefined): Promise<void> {
  const { X509Certificate, crypto } = await loadOracle();
  const certificate = new X509Certificate(der);
  const same: Record<string, boolean> = {
    serial: certificate.serialNumber === Buffer.from(intent.serial).toString('hex'),
    notBefore: certificate.notBefore.getTime() === intent.notBefore.getTime(),
    notAfter: certificate.notAfter.getTime() === intent.notAfter.getTime(),
    publicKey: Buffer.from(certificate.publicKey.rawData).equals(intent.spki),
    issuerName: Buffer.from(certificate.issuerName.toArrayBuffer()).equals(intent.issuerName),
    extensions:
      certificate.extensions.length === intent.extensions.length &&
      certificate.extensions.every((extension, i) => {
        const meant = intent.extensions[i];
        return meant !== undefined && extension.type === meant.oid && extension.critical === meant.critical && Buffer.from(extension.value).equals(meant.value);
      }),
  };
  const publicKey = signer === undefined ? certificate.publicKey : new X509Certificate(signer).publicKey;
  same.signature = await certificate.verify({ publicKey, signatureOnly: true }, crypto);
  const differing = Object.keys(same).filter((field) => !same[field]);
  if (differing.length > 0) throw new SignetError('internal', `a new authority certificate differs from its intent in ${differing.join(', ')}`);
}
