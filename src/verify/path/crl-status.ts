/** What lists say of a certificate (RFC 5280 §6.3.3). Indirect lists are refused; a delta list can add a revocation, and lift none. */
import { DerError } from '../../x509/der/reader.ts';
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { findInForeignCrl, parseForeignCrl, type ForeignCrl } from '../../x509/foreign/crl.ts';
import { ALL_REASONS } from '../../x509/foreign/distribution-points.ts';
import { generalNameKey } from '../../x509/foreign/general-name.ts';
import { OID } from '../../x509/oids.ts';
import { pathsFrom, type Search } from './build.ts';
import { constraintFault } from './constraints.ts';
import { once, type Evidence, type Status } from './evidence.ts';
import { algorithmFault, isSignedBy, keyFault } from './keys.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';
import { certificateFault } from './rules.ts';

/** Critical extensions of a list that are processed. A critical CRL number breaks §5.2.3. */
const PROCESSED: readonly string[] = [OID.issuingDistributionPoint, OID.deltaCrlIndicator];
const REMOVE_FROM_CRL = 8;

/** Names of CRLReason (§5.3.1), for people. */
const REASON_NAMES = [
  'unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged', 'superseded', 'cessationOfOperation', 'certificateHold', '', 'removeFromCRL', 'privilegeWithdrawn', 'aACompromise',
];

/** Reads a list, or says what is wrong with it. Never throws for octets. */
export function readCrl(der: Uint8Array): ForeignCrl | PathReason {
  try {
    return parseForeignCrl(der);
  } catch (error) {
    if (error instanceof DerError) return reason('malformed-crl', `a list cannot be read: ${error.message}`);
    throw error;
  }
}

/** `above` runs from the issuer to the anchor. Good once usable lists cover every reason (§6.3.3, reasons_mask). */
export function crlStatus(certificate: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): Status {
  const causes: PathReason[] = [];
  let covered = 0;
  for (const list of evidence.lists) {
    if (list.issuer.key !== certificate.issuer.key) continue;
    const isDelta = list.baseNumber !== undefined;
    const reasons = scopeOf(list, certificate);
    if (!isDelta && reasons === 0) {
      causes.push(reason('crl-not-in-scope', `a list of ${nameOf(above[0] ?? certificate)} does not cover ${nameOf(certificate)}`, certificate));
      continue;
    }
    const fault = listFault(list, above, evidence);
    if (fault) {
      causes.push(fault);
      continue;
    }
    const entry = once(evidence.found.entries, list, certificate.serial.toString('hex'), () => entryOf(list, certificate));
    if (entry && 'code' in entry) causes.push(entry);
    else if (entry && (!isDelta || entry.reason !== REMOVE_FROM_CRL)) {
      const why = REASON_NAMES[entry.reason ?? 0];
      return { state: 'revoked', fault: reason('revoked', `${nameOf(certificate)} is revoked since ${entry.revokedAt.toISOString()} (${why})`, certificate) };
    } else if (!isDelta) covered |= reasons;
  }
  return covered === ALL_REASONS ? { state: 'good' } : { state: 'unknown', causes: [...causes, ...evidence.unread] };
}

function entryOf(list: ForeignCrl, certificate: ForeignCertificate) {
  try {
    return findInForeignCrl(list, certificate.serial);
  } catch (error) {
    if (error instanceof DerError) return reason('crl-critical-extension', `a list cannot be used: ${error.message}`);
    throw error;
  }
}

/** The reasons that a list covers for a certificate; 0 when it covers others (§6.3.3 (b)). */
function scopeOf(list: ForeignCrl, certificate: ForeignCertificate): number {
  const point = list.issuingPoint;
  if (!point) return ALL_REASONS;
  const isCa = certificate.basicConstraints?.ca === true;
  if (point.onlyContainsAttributeCerts || (point.onlyContainsUserCerts && isCa) || (point.onlyContainsCaCerts && !isCa)) return 0;
  // §6.3.3: besides what the certificate says, a point with the name of the issuer.
  const issuerName = generalNameKey({ kind: 'directory', name: certificate.issuer });
  const { names } = point;
  let reasons = !names || names.includes(issuerName) ? point.reasons : 0;
  for (const place of certificate.distributionPoints ?? []) {
    if (!names || (place.crlIssuers && !place.crlIssuers.includes(certificate.issuer.key))) continue;
    const wanted = place.names ?? [issuerName];
    if (wanted.some((name) => names.includes(name))) reasons |= point.reasons & place.reasons;
  }
  return reasons;
}

/** Why a list cannot be used, whatever the certificate (§6.3.3 (a), (c)-(g)). */
function listFault(list: ForeignCrl, above: readonly ForeignCertificate[], evidence: Evidence): PathReason | undefined {
  const { at } = evidence.search;
  const issuer = above[0];
  if (list.issuingPoint?.indirectCrl) return reason('crl-indirect', 'a list is indirect: it may hold certificates of other issuers', issuer);
  const unknown = list.extensions.find(({ oid, critical }) => critical && !PROCESSED.includes(oid));
  if (unknown) return reason('crl-critical-extension', `a list has the critical extension ${unknown.oid}`, issuer);
  if (list.number === undefined) return reason('malformed-crl', 'a list has no CRL number (RFC 5280 §5.2.3)', issuer);
  if (at < list.thisUpdate) return reason('crl-stale', `a list is of ${list.thisUpdate.toISOString()}, which is yet to come`, issuer);
  if (!list.nextUpdate || at > list.nextUpdate) return reason('crl-stale', list.nextUpdate ? `a list was to be replaced by ${list.nextUpdate.toISOString()}` : 'a list does not say until when it holds', issuer);
  return algorithmFault(list.signatureAlgorithm, evidence.search.allowLegacy, 'a list') ?? signerFault(list, above, evidence) ?? evidence.request.crlMemory?.fault(list);
}

/** The signer is the issuer of the path, or another certificate of the same name with a path of its own to the same anchor (§6.3.3 (f)). */
function signerFault(list: ForeignCrl, above: readonly ForeignCertificate[], evidence: Evidence): PathReason | undefined {
  const [issuer] = above;
  if (!issuer) return undefined;
  const { search } = evidence;
  const others = [...above.slice(1), ...search.anchors.named(list.issuer), ...search.intermediates.named(list.issuer)].filter(({ subject }) => subject.key === list.issuer.key);
  let fault: PathReason = reason('crl-bad-signature', `a list is not signed by ${nameOf(issuer)}`, issuer);
  for (const signer of new Set([issuer, ...others])) {
    const { subjectKeyIdentifier } = signer;
    if (subjectKeyIdentifier && list.authorityKeyIdentifier && !subjectKeyIdentifier.equals(list.authorityKeyIdentifier)) continue;
    if (keyFault(signer, search.allowLegacy) || !isListSignedBy(list, signer, evidence)) continue;
    const unauthorized = authorityFault(signer, above, evidence);
    if (!unauthorized) return undefined;
    fault = unauthorized;
  }
  return fault;
}

const isListSignedBy = (list: ForeignCrl, signer: ForeignCertificate, { found, search }: Evidence): boolean =>
  once(found.signatures, list, signer.spki.toString('hex'), () => isSignedBy(signer, list.signatureAlgorithm, list.tbs, list.signature, search.budget));

function authorityFault(signer: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): PathReason | undefined {
  const refused = (why: string) => reason('crl-signer-not-authorized', `a list is signed by ${nameOf(signer)}, ${why}`, signer);
  if (signer.keyUsage && !signer.keyUsage.includes('cRLSign')) return refused('whose key usage has no cRLSign');
  // What stands in the path is judged with it.
  if (above.includes(signer)) return undefined;
  const anchor = above.at(-1);
  if (evidence.pending.has(signer) || evidence.pending.size >= MAX_PENDING) return refused('which would have to vouch for itself');
  const { at } = evidence.search;
  if (at < signer.notBefore || at > signer.notAfter || certificateFault(signer, 'leaf')) return refused('which is itself not valid');
  const search: Search = { ...evidence.search, ended: () => undefined };
  const inner: Evidence = { ...evidence, search, pending: new Set([...evidence.pending, signer]) };
  for (const path of pathsFrom([signer], search)) {
    const isGood = path.at(-1) === anchor && !constraintFault(path, search.budget) && path.slice(0, -1).every((one, i) => inner.statusOf(one, path.slice(i + 1), inner).state === 'good');
    if (isGood) return undefined;
    if (--search.budget.paths <= 0) break;
  }
  return refused('which has no good path to the same anchor');
}

/** Signers that wait for the status of each other. */
const MAX_PENDING = 3;
