/**
 * Building of paths (RFC 4158): from the leaf upwards over every issuer of the right name, best key identifier first, anchors before others. Whatever
 * cannot be part of a valid path is cut off where it is met; the work is bounded by the budget of the question.
 */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { signatureFault, type Budget } from './keys.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';
import { PATH_LIMITS } from './limits.ts';
import { certificateFault, issuerFault } from './rules.ts';
import type { CertificateStore } from './store.ts';

export interface Search {
  anchors: CertificateStore;
  intermediates: CertificateStore;
  /** Whole seconds. */
  at: Date;
  maxDepth: number;
  allowLegacy: boolean;
  budget: Budget;
  /** Tells of a way that ended: `path` from the leaf to where it did. */
  ended(path: readonly ForeignCertificate[], fault: PathReason): void;
}

/** Every path from `path`, whose last certificate is not yet certified, to an anchor: each with its anchor as the last. */
export function* pathsFrom(path: readonly ForeignCertificate[], search: Search): Generator<ForeignCertificate[], void, undefined> {
  const last = path.at(-1);
  if (!last) return;
  let found = false;
  for (const { issuer, isAnchor } of candidates(last, search)) {
    if (--search.budget.steps < 0) {
      search.ended(path, reason('too-complex', 'there are more ways than are looked at'));
      return;
    }
    if (isInside(path, issuer)) continue;
    found = true;
    const fault = stepFault(path, last, issuer, isAnchor, search);
    if (fault) {
      search.ended([...path, issuer], fault);
      if (fault.code === 'too-complex') return;
    } else if (isAnchor) yield [...path, issuer];
    else yield* pathsFrom([...path, issuer], search);
  }
  if (!found) search.ended(path, reason('untrusted', untrustedBecause(last, search), last));
}

function untrustedBecause(last: ForeignCertificate, search: Search): string {
  if (last.isSelfIssued && search.anchors.has(last)) return `${nameOf(last)} is itself an anchor: nothing certifies it`;
  return last.isSelfIssued ? `${nameOf(last)} is self-signed, and no anchor` : `no certificate of the issuer of ${nameOf(last)} is an anchor, or among the intermediates`;
}

/** The same CA twice in one path (by name and key, RFC 4158 §2.4.2) is a loop. */
const isInside = (path: readonly ForeignCertificate[], issuer: ForeignCertificate): boolean =>
  path.some((one) => one.subject.key === issuer.subject.key && one.spki.equals(issuer.spki));

interface Candidate {
  issuer: ForeignCertificate;
  isAnchor: boolean;
  fit: number;
}

/** Issuers by name: those whose key identifier is the one asked for first, those with another last, anchors before others. */
function candidates(last: ForeignCertificate, { anchors, intermediates, at }: Search): Candidate[] {
  const sorted: Candidate[] = [];
  for (const issuer of anchors.named(last.issuer)) sorted.push({ issuer, isAnchor: true, fit: fitOf(last, issuer, at) + 1 });
  for (const issuer of intermediates.named(last.issuer)) if (!anchors.has(issuer)) sorted.push({ issuer, isAnchor: false, fit: fitOf(last, issuer, at) });
  return sorted.length < 2 ? sorted : sorted.sort((a, b) => b.fit - a.fit);
}

function fitOf(last: ForeignCertificate, issuer: ForeignCertificate, at: Date): number {
  const isValid = at >= issuer.notBefore && at <= issuer.notAfter ? 2 : 0;
  const wanted = last.authorityKeyIdentifier?.keyIdentifier;
  if (!wanted || !issuer.subjectKeyIdentifier) return 4 + isValid;
  return (wanted.equals(issuer.subjectKeyIdentifier) ? 8 : 0) + isValid;
}

/** §6.1.4 (k)-(o) and §6.1.3 (a) for the step from `last` up to `issuer`; the signature, which costs most, comes last. */
function stepFault(path: readonly ForeignCertificate[], last: ForeignCertificate, issuer: ForeignCertificate, isAnchor: boolean, search: Search): PathReason | undefined {
  const notCa = issuerFault(issuer);
  if (notCa) return notCa;
  const between = path.slice(1).filter((certificate) => !certificate.isSelfIssued).length;
  const depth = between + (isAnchor || issuer.isSelfIssued ? 0 : 1);
  if (path.length >= PATH_LIMITS.certificates || depth > search.maxDepth) {
    return reason('path-too-long', `more than ${Math.min(search.maxDepth, PATH_LIMITS.certificates)} CAs would stand between ${nameOf(path[0] ?? last)} and an anchor`, issuer);
  }
  if (between > (issuer.basicConstraints?.pathLength ?? Infinity)) {
    return reason('path-length-exceeded', `${nameOf(issuer)} allows ${issuer.basicConstraints?.pathLength} CAs below itself; there are ${between}`, issuer);
  }
  if (search.at > issuer.notAfter) return reason('issuer-expired', `${nameOf(issuer)} expired at ${issuer.notAfter.toISOString()}`, issuer);
  if (search.at < issuer.notBefore) return reason('issuer-not-yet-valid', `${nameOf(issuer)} is not valid before ${issuer.notBefore.toISOString()}`, issuer);
  return certificateFault(issuer, isAnchor ? 'anchor' : 'ca') ?? signatureFault(last, issuer, search.allowLegacy, search.budget);
}
