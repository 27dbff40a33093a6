/** TBSCertificate and Certificate (RFC 5280 §4.1), version 3. */
import { bitString, context, integer, sequence, time, unsignedInteger } from './der/writer.ts';
import { encodeExtensions, type Extension } from './extensions/extension.ts';
import { encodeName, type NameAttribute } from './names.ts';

/** A certificate as it is meant, before anything is signed. */
export interface CertificateIntent {
  /** Big-endian magnitude. */
  serial: Uint8Array;
  /** Name, DER: the issuer's subject, octet by octet. */
  issuerName: Buffer;
  /** AlgorithmIdentifier, DER, of the scheme the issuer signs with. */
  signatureAlgorithm: Buffer;
  /** Whole seconds. */
  notBefore: Date;
  /** Whole seconds; the last one in which the certificate is valid. */
  notAfter: Date;
  subject: NameAttribute[];
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array;
  /** In this order; at least one. */
  extensions: Extension[];
}

const VERSION_3 = context(0, integer(2));

/** The octets an issuer signs. */
export const encodeTbs = (intent: CertificateIntent): Buffer =>
  sequence(
    VERSION_3,
    unsignedInteger(intent.serial),
    intent.signatureAlgorithm,
    intent.issuerName,
    sequence(time(intent.notBefore), time(intent.notAfter)),
    encodeName(intent.subject),
    intent.spki,
    context(3, encodeExtensions(intent.extensions)),
  );

/** Certificate from its three parts. */
export const assembleCertificate = (tbs: Uint8Array, signatureAlgorithm: Uint8Array, signature: Uint8Array): Buffer =>
  sequence(tbs, signatureAlgorithm, bitString(signature));
