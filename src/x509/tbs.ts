import { bitString, context, integer, sequence, time, unsignedInteger } from './der/writer.ts';
import { encodeExtensions, type Extension } from './extensions/extension.ts';
import { encodeName, type NameAttribute } from './names.ts';

/** Everything a certificate will say, decided. Times in whole seconds. */
export interface CertificateIntent {
  /** Magnitude, 20 octets. */
  serial: Uint8Array;
  /** Name, DER. */
  issuerName: Buffer;
  /** AlgorithmIdentifier, DER. */
  signatureAlgorithm: Buffer;
  notBefore: Date;
  notAfter: Date;
  subject: readonly NameAttribute[];
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array;
  extensions: readonly Extension[];
}

const VERSION_3 = context(0, integer(2));

/** TBSCertificate, version 3 (RFC 5280 §4.1). */
export function encodeTbs(intent: CertificateIntent): Buffer {
  return sequence(
    VERSION_3,
    unsignedInteger(intent.serial),
    intent.signatureAlgorithm,
    intent.issuerName,
    sequence(time(intent.notBefore), time(intent.notAfter)),
    encodeName(intent.subject),
    intent.spki,
    context(3, encodeExtensions(intent.extensions)),
  );
}

/** Certificate from its signed part (RFC 5280 §4.1). */
export const assembleCertificate = (tbs: Uint8Array, signatureAlgorithm: Uint8Array, signature: Uint8Array): Buffer => sequence(tbs, signatureAlgorithm, bitString(signature));
