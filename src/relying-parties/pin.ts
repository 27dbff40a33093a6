import { createHash, X509Certificate, type KeyObject } from 'node:crypto';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import type { PinnedCertificate } from '../db/relying-parties.ts';
import { DerError, open } from '../x509/der/reader.ts';
import { TAG } from '../x509/der/writer.ts';
import { decodePem } from '../x509/pem.ts';

const RSA_BITS = { min: 2048, max: 8192 };
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];
/** Names are shown, never compared. */
const NAME_MAX = 500;

/** What is kept of a certificate that is to be pinned. */
export type Pin = Omit<PinnedCertificate, 'id' | 'relyingPartyId'>;

/**
 * Judges a certificate of any CA, PEM, for pinning. Its own signature, chain, purposes and names are not judged: the pin is what is trusted. It must be X.509
 * v3, valid now, with a key that is not weak, and not of our own issuers: an agent asks with its certificate already, and a pin would outlive its revocation.
 * OpenSSL reads it, because certificates of other CAs need not be as strict as ours.
 * @throws SignetError `invalid-request`, `relying-party-certificate-refused`
 */
export function readPin(ctx: Pick<Context, 'authorities'>, pem: string, now: Date): Pin {
  const der = decodePem(pem, 'CERTIFICATE');
  const certificate = read(der);
  if (namesOurIssuer(ctx, der)) throw refused('it was issued here: an agent asks for status with its own certificate, without registration as a relying party');
  const { validFromDate: notBefore, validToDate: notAfter } = certificate;
  if (notAfter <= now) throw refused(`it expired at ${notAfter.toISOString()}`);
  const weakness = weaknessOf(certificate.publicKey);
  if (weakness !== undefined) throw refused(weakness);
  return { fingerprint: fingerprintOf(der), subject: shown(certificate.subject), issuer: shown(certificate.issuer), notBefore, notAfter };
}

/** SHA-256 of the whole DER: what a certificate is pinned by. */
export const fingerprintOf = (der: Uint8Array): Buffer => createHash('sha256').update(der).digest();

/** Whether the certificate carries the name of one of our issuers. Such a one is an agent's, or forged: it is never looked for among the pins. */
export const namesOurIssuer = (ctx: Pick<Context, 'authorities'>, der: Buffer): boolean => ctx.authorities.snapshot().issuing.some(({ nameDer }) => der.includes(nameDer));

const refused = (why: string) => new SignetError('relying-party-certificate-refused', `the certificate cannot be pinned: ${why}`);

function read(der: Buffer): X509Certificate {
  try {
    const certificate = new X509Certificate(der);
    if (!certificate.raw.equals(der) || versionOf(der) !== 3) throw refused('it is not an X.509 v3 certificate');
    return certificate;
  } catch (error) {
    if (error instanceof SignetError) throw error;
    throw refused('it is not an X.509 v3 certificate');
  }
}

/** RFC 5280 §4.1.2.1; Node does not tell. @throws DerError */
function versionOf(der: Buffer): number {
  const top = open(der);
  const parts = top.descend(top.expect(TAG.SEQUENCE, 'Certificate'));
  const version = parts.descend(parts.expect(TAG.SEQUENCE, 'TBSCertificate')).optional(0xa0);
  if (!version) return 1;
  const number = version.raw.at(-1);
  if (number === undefined) throw new DerError('version is empty', version.offset);
  return number + 1;
}

function weaknessOf(key: KeyObject): string | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return modulusLength >= RSA_BITS.min && modulusLength <= RSA_BITS.max ? undefined : `an RSA key must have ${RSA_BITS.min} to ${RSA_BITS.max} bits`;
    case 'ec':
      return CURVES.includes(namedCurve) ? undefined : 'an elliptic key must be P-256, P-384 or P-521';
    case 'ed25519':
      return undefined;
    default:
      return 'its key must be RSA, P-256, P-384, P-521 or Ed25519';
  }
}

/** A name in one line, without what a terminal or a log would act on. */
const shown = (name: string | undefined): string => (name ?? '').replaceAll('\n', ', ').replaceAll(/[\p{Cc}\p{Cs}]/gu, '\u{fffd}').slice(0, NAME_MAX);
