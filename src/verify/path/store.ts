/** Certificates sorted by subject: of ten thousand offered ones only those are read whole that a path asks for. */
import { DerError } from '../../x509/der/reader.ts';
import { FOREIGN_LIMITS, foreignSubject, parseForeignCertificate, type ForeignCertificate } from '../../x509/foreign/certificate.ts';
import type { ForeignName } from '../../x509/foreign/name.ts';
import { PATH_LIMITS } from './limits.ts';
import { reason, type PathReason } from './reasons.ts';

/** Made once for anchors and issuers that stay the same: what was read and checked of them is kept with them. */
export interface CertificateStore {
  /** Every certificate with this subject, in the order given, at most PATH_LIMITS.sameName. Those that cannot be read are left out. */
  named(name: ForeignName): readonly ForeignCertificate[];
  /** Whether this very certificate (its octets) is in it. */
  has(certificate: ForeignCertificate): boolean;
  readonly size: number;
  /** What could not be read; nothing else of it is looked at. */
  readonly faults: readonly PathReason[];
}

export const EMPTY_STORE: CertificateStore = { named: () => [], has: () => false, size: 0, faults: [] };

/** Reads one certificate, or says what is wrong with it. Never throws for octets. */
export function readCertificate(der: Uint8Array): ForeignCertificate | PathReason {
  if (der.length > FOREIGN_LIMITS.maxBytes) return reason('certificate-too-large', `a certificate has ${der.length} octets; at most ${FOREIGN_LIMITS.maxBytes} are read`);
  try {
    return parseForeignCertificate(der);
  } catch (error) {
    if (error instanceof DerError) return reason('malformed-certificate', `a certificate cannot be read: ${error.message}`);
    throw error;
  }
}

/** `given`: DER, or certificates that were read. Certificates that are not DER count as faults, not as errors. */
export function createStore(given: readonly (Uint8Array | ForeignCertificate)[]): CertificateStore {
  const faults: PathReason[] = [];
  const bySubject = new Map<string, (Uint8Array | ForeignCertificate)[]>();
  if (given.length > PATH_LIMITS.stored) {
    faults.push(reason('too-many-certificates', `${given.length} certificates are offered; at most ${PATH_LIMITS.stored} are looked at`));
  }
  for (const one of given.slice(0, PATH_LIMITS.stored)) {
    const subject = subjectOf(one, faults);
    if (subject === undefined) continue;
    const same = bySubject.get(subject);
    if (!same) bySubject.set(subject, [one]);
    else if (same.length < PATH_LIMITS.sameName) same.push(one);
  }
  const read = new Map<string, readonly ForeignCertificate[]>();
  const named = ({ key }: ForeignName): readonly ForeignCertificate[] => {
    const known = read.get(key);
    if (known) return known;
    const certificates = readAll(bySubject.get(key) ?? [], faults);
    if (bySubject.has(key)) read.set(key, certificates);
    return certificates;
  };
  return { named, has: (certificate) => named(certificate.subject).some(({ der }) => der.equals(certificate.der)), size: given.length, faults };
}

function subjectOf(one: Uint8Array | ForeignCertificate, faults: PathReason[]): string | undefined {
  if (!(one instanceof Uint8Array)) return one.subject.key;
  try {
    if (one.length <= FOREIGN_LIMITS.maxBytes) return foreignSubject(one).key;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
  }
  const fault = readCertificate(one);
  if ('code' in fault) addFault(faults, fault);
  return undefined;
}

function readAll(given: readonly (Uint8Array | ForeignCertificate)[], faults: PathReason[]): ForeignCertificate[] {
  const certificates: ForeignCertificate[] = [];
  for (const one of given) {
    const certificate = one instanceof Uint8Array ? readCertificate(one) : one;
    if ('code' in certificate) addFault(faults, certificate);
    else if (!certificates.some(({ der }) => der.equals(certificate.der))) certificates.push(certificate);
  }
  return certificates;
}

function addFault(faults: PathReason[], fault: PathReason): void {
  if (faults.length < PATH_LIMITS.reasons) faults.push(fault);
}
