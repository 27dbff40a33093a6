import type { AuthorityKind, StoredState } from '../authorities.ts';
import { buffer, type Db } from '../client.ts';

/** A certificate of the CA as operators see it. */
export interface AuthorityView {
  id: string;
  kind: AuthorityKind;
  state: StoredState;
  issuerId: string | null;
  serial: Buffer;
  /** SHA-256 of `der`. */
  fingerprint: Buffer;
  subject: string;
  algorithm: string;
  shardCount: number;
  notBefore: Date;
  notAfter: Date;
  createdAt: Date;
  revokedAt: Date | null;
  der: Buffer;
}

/** Retired responders and TLS certificates pile up, a few a week; the newest of them are enough to see. */
const RETIRED_SHOWN = 50;

/** Everything in force, and the newest of what is retired; oldest first. */
export async function listAuthorityViews(db: Db): Promise<AuthorityView[]> {
  const retired = await db.authorityCertificate.findMany({ where: { state: 'retired' }, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }], take: RETIRED_SHOWN });
  const live = await db.authorityCertificate.findMany({ where: { state: { not: 'retired' } }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] });
  return [...retired.toReversed(), ...live].map((row) => ({
    id: row.id,
    kind: row.kind as AuthorityKind,
    state: row.state as StoredState,
    issuerId: row.issuerId,
    serial: buffer(row.serial),
    fingerprint: buffer(row.fingerprint),
    subject: row.subject,
    algorithm: row.algorithm,
    shardCount: row.shardCount,
    notBefore: row.notBefore,
    notAfter: row.notAfter,
    createdAt: row.createdAt,
    revokedAt: row.revokedAt,
    der: buffer(row.der),
  }));
}
