/** Revocation of the certificates of a path (RFC 5280 §6.3, RFC 6960): by OCSP answers and lists that were given. */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { OID } from '../../x509/oids.ts';
import type { Search } from './build.ts';
import { crlStatus, readCrl } from './crl-status.ts';
import type { Evidence, Status } from './evidence.ts';
import { ocspStatus, readAnswers } from './ocsp-status.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';
import type { PathRequest } from './request.ts';

/** Reads what is given, once for all paths of a question. */
export function readEvidence(request: PathRequest, search: Search): Evidence {
  const { crls = [], ocsp = [] } = request;
  const read = crls.map((list) => (list instanceof Uint8Array ? readCrl(list) : list));
  const lists = read.flatMap((list) => ('code' in list ? [] : [list]));
  const unread = read.flatMap((list) => ('code' in list ? [list] : []));
  return { request, search, lists, unread, answers: readAnswers(ocsp), found: { signatures: new Map(), entries: new Map() }, pending: new Set(), statusOf };
}

/** Faults of revocation on a path, leaf first. */
export function revocationFaults(path: readonly ForeignCertificate[], evidence: Evidence): PathReason[] {
  const { crls = [], ocsp = [], revocation } = evidence.request;
  const mode = revocation ?? (crls.length > 0 ? 'path' : ocsp.length > 0 ? 'leaf' : 'none');
  if (crls.length === 0 && ocsp.length === 0 && mode === 'none') return [];
  return path.slice(0, -1).flatMap((certificate, i) => {
    const isNeeded = mode === 'path' || (mode === 'leaf' && i === 0);
    return statusFaults(certificate, path.slice(i + 1), evidence, isNeeded && !(i === 0 && hasNoStatus(certificate)));
  });
}

/** Whoever issued it promises that there is nothing to ask (RFC 9608 §4). */
const hasNoStatus = ({ extensions, distributionPoints }: ForeignCertificate): boolean =>
  extensions.some(({ oid }) => oid === OID.noRevAvail) && !distributionPoints && !extensions.some(({ oid }) => oid === OID.authorityInformationAccess);

/** `above` runs from the issuer to the anchor. */
function statusFaults(certificate: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence, isNeeded: boolean): PathReason[] {
  const status = statusOf(certificate, above, evidence);
  if (status.state === 'revoked') return [status.fault];
  if (status.state === 'good' || !isNeeded) return [];
  return [reason('status-unknown', `nothing that was given says whether ${nameOf(certificate)} is revoked`, certificate), ...status.causes];
}

/** Revoked by one is revoked, whatever others say. */
function statusOf(certificate: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): Status {
  const byOcsp = ocspStatus(certificate, above, evidence);
  if (byOcsp.state === 'revoked') return byOcsp;
  const byCrl = crlStatus(certificate, above, evidence);
  if (byCrl.state !== 'unknown') return byCrl;
  return byOcsp.state === 'good' ? byOcsp : { state: 'unknown', causes: [...byOcsp.causes, ...byCrl.causes] };
}
