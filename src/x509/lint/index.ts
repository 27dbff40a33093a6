/** The lints every certificate passes before it is signed: one rule a file, with the section that states it (STYLE §1.5). */
import { DerError } from '../der/reader.ts';
import { authorityKeyIdentifier } from './authority-key-identifier.ts';
import { basicConstraints } from './basic-constraints.ts';
import { derMinimal } from './der-minimal.ts';
import { duplicateExtensions } from './duplicate-extensions.ts';
import { expectedKey } from './expected-key.ts';
import { extendedKeyUsage } from './extended-key-usage.ts';
import { issuerName } from './issuer-name.ts';
import { keyUsage } from './key-usage.ts';
import type { Lint, LintFault, LintSubject } from './lint.ts';
import { nameConstraints } from './name-constraints.ts';
import { ocspNoCheck } from './ocsp-no-check.ts';
import { revocationPointers } from './revocation-pointers.ts';
import { serialNumber } from './serial-number.ts';
import { signatureAlgorithm } from './signature-algorithm.ts';
import { spiffeId } from './spiffe-id.ts';
import { subjectAlternativeName } from './subject-alternative-name.ts';
import { subjectKeyIdentifier } from './subject-key-identifier.ts';
import { subjectName } from './subject-name.ts';
import { unknownCriticalExtensions } from './unknown-critical-extensions.ts';
import { validityEncoding } from './validity-encoding.ts';
import { validityWithinIssuer } from './validity-within-issuer.ts';
import { version } from './version.ts';

export type { CertificateKind, LintFault, LintIssuer, LintRegistration, LintSubject } from './lint.ts';

/** In the order of the fields of a certificate. */
export const LINTS: readonly Lint[] = [
  version,
  serialNumber,
  signatureAlgorithm,
  issuerName,
  validityWithinIssuer,
  validityEncoding,
  subjectName,
  expectedKey,
  duplicateExtensions,
  unknownCriticalExtensions,
  authorityKeyIdentifier,
  subjectKeyIdentifier,
  keyUsage,
  extendedKeyUsage,
  basicConstraints,
  nameConstraints,
  subjectAlternativeName,
  spiffeId,
  revocationPointers,
  ocspNoCheck,
  derMinimal,
];

/** What is wrong with a certificate about to be signed; empty when nothing is. */
export function lintCertificate(subject: LintSubject): LintFault[] {
  return LINTS.flatMap((lint) => {
    const message = faultOf(lint, subject);
    return message === undefined ? [] : [{ lint: lint.name, reference: lint.reference, message }];
  });
}

function faultOf(lint: Lint, subject: LintSubject): string | undefined {
  try {
    return lint.check(subject);
  } catch (error) {
    if (error instanceof DerError) return error.message;
    throw error;
  }
}
