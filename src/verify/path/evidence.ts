/** What the parts of revocation checking share. */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import type { ForeignCrl, ForeignCrlEntry } from '../../x509/foreign/crl.ts';
import type { BasicOcspResponse } from '../../x509/ocsp-response.ts';
import type { Search } from './build.ts';
import type { PathReason } from './reasons.ts';
import type { PathRequest } from './request.ts';

/** An OCSP answer as read, or why it cannot be. */
export type Answer = BasicOcspResponse | PathReason;

/** What evidence says of one certificate. `unknown`: nothing usable, for these causes. */
export type Status = { state: 'good' } | { state: 'revoked'; fault: PathReason } | { state: 'unknown'; causes: PathReason[] };

export interface Found {
  /** By what was signed, then by key (SubjectPublicKeyInfo, hexadecimal). */
  signatures: Map<object, Map<string, boolean>>;
  /** By list, then by serial number: an entry, none, or why the list cannot be used. */
  entries: Map<ForeignCrl, Map<string, ForeignCrlEntry | PathReason | undefined>>;
}

/** Everything one question has to say about revocation. */
export interface Evidence {
  request: PathRequest;
  search: Search;
  /** Lists that could be read, and the faults of those that could not. */
  lists: readonly ForeignCrl[];
  unread: readonly PathReason[];
  answers: readonly Answer[];
  /** What was found out about each list and answer: many paths of one question ask the same of it. */
  found: Found;
  /** Signers of lists whose own status is being asked for: they cannot vouch for themselves. */
  pending: ReadonlySet<ForeignCertificate>;
  /** By everything that was given; `above` runs from the issuer to the anchor. */
  statusOf(certificate: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): Status;
}

/** Remembers the result of `work` under a name. */
export function once<K, T>(memory: Map<K, Map<string, T>>, of: K, name: string, work: () => T): T {
  const known = memory.get(of) ?? new Map<string, T>();
  memory.set(of, known);
  if (!known.has(name)) known.set(name, work());
  return known.get(name) as T;
}
