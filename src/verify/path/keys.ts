/** Keys that were imported and signatures that were checked, kept with the certificates they are of: an issuer that stays costs nothing the second time. */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { readForeignKey, signatureStanding, verifyForeignSignature, type ForeignKey, type Standing } from '../../x509/foreign/signature.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';

const keys = new WeakMap<ForeignCertificate, ForeignKey>();
/** By certificate, then issuer: whether the signature is the issuer's. */
const checked = new WeakMap<ForeignCertificate, WeakMap<ForeignCertificate, boolean>>();

/** What is left of PATH_LIMITS for one question. */
export interface Budget {
  steps: number;
  signatures: number;
  paths: number;
  comparisons: number;
}

export function keyOf(certificate: ForeignCertificate): ForeignKey {
  const known = keys.get(certificate);
  if (known) return known;
  const key = readForeignKey(certificate.spki);
  keys.set(certificate, key);
  return key;
}

const allowed = (standing: Standing, allowLegacy: boolean): boolean => standing === 'supported' || (standing === 'legacy' && allowLegacy);
const codeOf = (standing: Standing) => (standing === 'legacy' ? 'legacy-algorithm' : 'algorithm-not-supported');

/** Why the key of a certificate is not accepted. */
export function keyFault(certificate: ForeignCertificate, allowLegacy: boolean): PathReason | undefined {
  const { standing, name } = keyOf(certificate);
  if (allowed(standing, allowLegacy)) return undefined;
  return reason(codeOf(standing), `the key of ${nameOf(certificate)} is not accepted: ${name}`, certificate);
}

/** Why the algorithm that a certificate, list or answer is signed with is not accepted. */
export function algorithmFault(algorithm: Buffer, allowLegacy: boolean, what: string | ForeignCertificate): PathReason | undefined {
  const standing = signatureStanding(algorithm);
  if (allowed(standing, allowLegacy)) return undefined;
  const isText = typeof what === 'string';
  return reason(codeOf(standing), `${isText ? what : nameOf(what)} is signed with an algorithm that is not accepted`, isText ? undefined : what);
}

/** Why `certificate` is not one that `issuer` signed; `too-complex` when no signature may be checked any more. */
export function signatureFault(certificate: ForeignCertificate, issuer: ForeignCertificate, allowLegacy: boolean, budget: Budget): PathReason | undefined {
  const fault = keyFault(issuer, allowLegacy) ?? algorithmFault(certificate.signatureAlgorithm, allowLegacy, certificate);
  if (fault) return fault;
  const results = checked.get(certificate) ?? new WeakMap<ForeignCertificate, boolean>();
  let isSigned = results.get(issuer);
  if (isSigned === undefined) {
    if (budget.signatures-- <= 0) return reason('too-complex', 'too many signatures would have to be checked');
    isSigned = verifyForeignSignature(keyOf(issuer), certificate.signatureAlgorithm, certificate.tbs, certificate.signature);
    results.set(issuer, isSigned);
    checked.set(certificate, results);
  }
  return isSigned ? undefined : reason('bad-signature', `the signature of ${nameOf(certificate)} is not by ${nameOf(issuer)}`, certificate);
}

/** A list of many megabytes costs as much as that many signatures more. */
const OCTETS_A_SIGNATURE = 4_194_304;

/** Whether `signer` signed these octets: of a list or an answer. Costs a signature of the budget, more where there are many octets. */
export function isSignedBy(signer: ForeignCertificate, algorithm: Buffer, data: Buffer, signature: Buffer, budget: Budget): boolean {
  const isAffordable = budget.signatures > 0;
  budget.signatures -= 1 + Math.floor(data.length / OCTETS_A_SIGNATURE);
  return isAffordable && verifyForeignSignature(keyOf(signer), algorithm, data, signature);
}
