/**
 * Certification path validation (RFC 5280 §6) as relying parties do it, offline: paths are built and judged one after the other until one is valid.
 * What is not supported is refused, never passed over (docs/path-validation.md). Never throws for what can be read, and is bounded whatever is given.
 */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { pathsFrom, type Search } from './build.ts';
import { constraintFault } from './constraints.ts';
import type { Evidence } from './evidence.ts';
import { hostFault, spiffeFault } from './identity.ts';
import { algorithmFault, keyFault, type Budget } from './keys.ts';
import { PATH_LIMITS } from './limits.ts';
import { policyFault } from './policy.ts';
import { nameOf, rankOf, reason, type PathReason } from './reasons.ts';
import type { PathRequest, PathResult } from './request.ts';
import { readEvidence, revocationFaults } from './revocation.ts';
import { certificateFault, purposeFault } from './rules.ts';
import { EMPTY_STORE } from './store.ts';

const MS_PER_SECOND = 1000;

/** Whether `leaf` is to be trusted, and if not, why. */
export function validatePath(request: PathRequest): PathResult {
  const given = tooMuch(request);
  if (given) return { valid: false, path: [], reasons: [given] };
  const ended: { path: readonly ForeignCertificate[]; reasons: PathReason[] }[] = [];
  const search = searchOf(request, (path, fault) => ended.push({ path, reasons: [fault] }));
  const leafFaults = judgeLeaf(request, search);
  let evidence: Evidence | undefined;
  for (const path of pathsFrom([request.leaf], search)) {
    const faults = [...leafFaults, ...judgePath(path, request, search, () => (evidence ??= readEvidence(request, search)))];
    if (faults.length === 0) return { valid: true, path, reasons: [] };
    ended.push({ path, reasons: faults });
    if (--search.budget.paths <= 0) {
      ended.push({ path: [], reasons: [reason('too-complex', 'there are more paths than are judged')] });
      break;
    }
  }
  return refused(ended, leafFaults, [...request.anchors.faults, ...(request.intermediates?.faults ?? [])]);
}

function tooMuch({ crls = [], ocsp = [], anchors, intermediates = EMPTY_STORE }: PathRequest): PathReason | undefined {
  if (crls.length > PATH_LIMITS.evidence || ocsp.length > PATH_LIMITS.evidence) return reason('too-many-certificates', `more than ${PATH_LIMITS.evidence} lists or answers are given`);
  return [anchors, intermediates].flatMap(({ faults }) => faults).find(({ code }) => code === 'too-many-certificates');
}

function newBudget(): Budget {
  const { steps, signatures, paths, comparisons } = PATH_LIMITS;
  return { steps, signatures, paths, comparisons };
}

/** A time has fractions of seconds; certificates have not, and are valid through the whole of their last second (§4.1.2.5). */
function searchOf(request: PathRequest, ended: Search['ended']): Search {
  return {
    anchors: request.anchors,
    intermediates: request.intermediates ?? EMPTY_STORE,
    at: new Date(Math.floor(request.time.getTime() / MS_PER_SECOND) * MS_PER_SECOND),
    maxDepth: Math.min(request.maxDepth ?? PATH_LIMITS.depth, PATH_LIMITS.depth),
    allowLegacy: request.allowLegacyAlgorithms === true,
    budget: newBudget(),
    ended,
  };
}

/** What concerns the leaf alone, whatever the path. */
function judgeLeaf({ leaf, host, spiffeId, trustDomain }: PathRequest, { at, allowLegacy }: Search): PathReason[] {
  return present([
    certificateFault(leaf, 'leaf'),
    keyFault(leaf, allowLegacy),
    algorithmFault(leaf.signatureAlgorithm, allowLegacy, leaf),
    host === undefined ? undefined : hostFault(leaf, host),
    spiffeFault(leaf, { spiffeId, trustDomain }),
    at > leaf.notAfter ? reason('expired', `${nameOf(leaf)} expired at ${leaf.notAfter.toISOString()}`, leaf) : undefined,
    at < leaf.notBefore ? reason('not-yet-valid', `${nameOf(leaf)} is not valid before ${leaf.notBefore.toISOString()}`, leaf) : undefined,
  ]);
}

/** What concerns the path as a whole. Revocation is only asked of what would be valid otherwise: it costs signatures. */
function judgePath(path: readonly ForeignCertificate[], request: PathRequest, search: Search, evidence: () => Evidence): PathReason[] {
  const faults = present([
    constraintFault(path, search.budget),
    policyFault(path, {
      initialPolicies: request.initialPolicies,
      requireExplicitPolicy: request.requireExplicitPolicy === true,
      inhibitMapping: request.inhibitMapping === true,
      inhibitAnyPolicy: request.inhibitAnyPolicy === true,
    }),
    request.purpose === undefined ? undefined : purposeFault(path, request.purpose),
  ]);
  return faults.length > 0 ? faults : revocationFaults(path, evidence());
}

const present = (faults: readonly (PathReason | undefined)[]): PathReason[] => faults.filter((fault) => fault !== undefined);

/** The way that came furthest, and what else was wrong with the leaf or could not be read. */
function refused(ended: readonly { path: readonly ForeignCertificate[]; reasons: PathReason[] }[], leafFaults: readonly PathReason[], unread: readonly PathReason[]): PathResult {
  const furthest = (reasons: readonly PathReason[]) => Math.min(...reasons.map(({ code }) => rankOf(code)));
  let best = ended[0];
  for (const one of ended) if (best === undefined || furthest(one.reasons) > furthest(best.reasons)) best = one;
  const isComplex = ended.find(({ reasons }) => reasons.some(({ code }) => code === 'too-complex'));
  const all = [...(best?.reasons ?? []), ...(isComplex?.reasons ?? []), ...leafFaults, ...unread];
  const said = all.filter((one, i) => all.findIndex(({ code, message }) => code === one.code && message === one.message) === i);
  return { valid: false, path: [...(best?.path ?? [])], reasons: said.slice(0, PATH_LIMITS.reasons) };
}
