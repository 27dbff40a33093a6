import { bytes, buffer, runHot, type Db, type HotStatement, type Tx } from './client.ts';
import type { AuditRow } from './audit.ts';
import { bucketOfSerial } from '../x509/serial.ts';

/** A signed certificate waiting to become durable, with what must still be true at its commit. */
export interface CertificateCommit {
  kind: 'enroll' | 'renew';
  agentId: string;
  /** Version of the registration that policy decided on: the commit refuses another. */
  agentVersion: number;
  instanceId: string;
  /** Join token to spend, for an enrollment. */
  tokenId: string | null;
  source: string | null;
  /** Presented certificate, for a renewal: must still be the instance's tip. */
  oldSerial: Buffer | null;
  /** The profile allows the instance's own earlier key. */
  keyReuse: boolean;
  serial: Buffer;
  issuerId: string;
  profile: string;
  shard: number;
  generation: number;
  keyHash: Buffer;
  der: Buffer;
  notBefore: Date;
  notAfter: Date;
  issuedAt: Date;
  idempotency: { caller: string; route: string; key: string; bodyHash: Buffer; expiresAt: Date } | null;
  audit: AuditRow;
}

/**
 * 'committed', or the error code of what refused this row alone (SQL function commit_certificates). 'agent-busy': somebody is changing the agent, to be
 * tried again; 'registration-changed': policy must decide again.
 */
export type CommitVerdict =
  | 'committed' | 'issuance-stopped' | 'agent-not-found' | 'agent-suspended' | 'agent-retired' | 'agent-not-active' | 'owner-suspended' | 'issuer-unavailable'
  | 'join-token-used' | 'instance-quarantined' | 'instance-revoked' | 'certificate-superseded' | 'client-certificate-revoked' | 'client-certificate-held'
  | 'key-in-use' | 'idempotency-in-progress' | 'agent-busy' | 'registration-changed';

const COMMIT: HotStatement = { name: 'commit-certificates', text: 'SELECT verdict FROM commit_certificates($1::json) ORDER BY i' };

const hex = (value: Uint8Array): string => `\\x${buffer(value).toString('hex')}`;

/** One statement, one transaction for the whole batch. Verdicts come in the order of the rows. */
export async function commitCertificates(db: Db, rows: readonly CertificateCommit[]): Promise<CommitVerdict[]> {
  const batch = rows.map((row, index) => ({
    i: index + 1,
    kind: row.kind,
    agent_id: row.agentId,
    agent_version: row.agentVersion,
    instance_id: row.instanceId,
    key_reuse: row.keyReuse,
    bucket: bucketOfSerial(row.serial),
    serial: hex(row.serial),
    issuer_id: row.issuerId,
    profile: row.profile,
    shard: row.shard,
    generation: row.generation,
    key_hash: hex(row.keyHash),
    der: row.der.toString('base64'),
    not_before: row.notBefore,
    not_after: row.notAfter,
    issued_at: row.issuedAt,
    audit_id: row.audit.id,
    audit_kind: row.audit.kind,
    actor_kind: row.audit.actorKind,
    actor_id: row.audit.actorId,
    request_id: row.audit.requestId,
    event: buffer(row.audit.event).toString('utf8'),
    // What is left out is NULL. Every octet sent costs: this statement is the larger part of what an issuance costs beside the cryptography.
    ...(row.tokenId === null ? {} : { token_id: row.tokenId, source: row.source }),
    ...(row.oldSerial === null ? {} : { old_bucket: bucketOfSerial(row.oldSerial), old_serial: hex(row.oldSerial) }),
    ...(row.idempotency === null ? {} : idempotencyColumns(row.idempotency)),
  }));
  const verdicts = await runHot<{ verdict: CommitVerdict }>(db, COMMIT, [JSON.stringify(batch)]);
  return verdicts.map((row) => row.verdict);
}

function idempotencyColumns({ caller, route, key, bodyHash, expiresAt }: NonNullable<CertificateCommit['idempotency']>) {
  return { idem_caller: caller, idem_route: route, idem_key: key, idem_body_hash: hex(bodyHash), idem_expires_at: expiresAt };
}

/** A certificate as it is stored, with its status and the states of its agent and instance. */
export interface StoredCertificate {
  serial: Buffer;
  issuerId: string;
  agentId: string;
  instanceId: string;
  profile: string;
  generation: number;
  shard: number;
  der: Buffer;
  keyHash: Buffer;
  notBefore: Date;
  notAfter: Date;
  issuedAt: Date;
  presentedAt: Date | null;
  revokedAt: Date | null;
  revocationReason: number | null;
  heldAt: Date | null;
  agentState: string;
  instanceState: string;
}

/** One certificate by serial (one partition), or undefined. */
export async function findCertificate(db: Db | Tx, serial: Uint8Array): Promise<StoredCertificate | undefined> {
  const row = await db.certificate.findUnique({ where: { bucket_serial: { bucket: bucketOfSerial(serial), serial: bytes(serial) } } });
  if (!row) return undefined;
  const [agent, instance] = await Promise.all([
    db.agent.findUnique({ where: { id: row.agentId }, select: { state: true } }),
    db.instance.findUnique({ where: { id: row.instanceId }, select: { state: true } }),
  ]);
  return {
    ...row,
    serial: buffer(row.serial),
    der: buffer(row.der),
    keyHash: buffer(row.keyHash),
    agentState: agent?.state ?? 'retired',
    instanceState: instance?.state ?? 'revoked',
  };
}

/** Which of these serials are stored: settles a commit whose outcome was lost with the connection. */
export async function storedSerials(db: Db, serials: readonly Buffer[]): Promise<Set<string>> {
  const rows = await db.certificate.findMany({
    where: { OR: serials.map((serial) => ({ bucket: bucketOfSerial(serial), serial: bytes(serial) })) },
    select: { serial: true },
  });
  return new Set(rows.map((row) => buffer(row.serial).toString('hex')));
}

/** When and by whom a key was certified first, and whether it is blocked (its certificate was revoked). */
export async function findPublicKey(db: Db, keyHash: Uint8Array): Promise<{ agentId: string; blockedAt: Date | null } | undefined> {
  const row = await db.publicKey.findUnique({ where: { keyHash: bytes(keyHash) }, select: { agentId: true, blockedAt: true } });
  return row ?? undefined;
}

/** The issuance recorded under an Idempotency-Key. One that has expired is cleared away: in the commit it would stand in the way of its successor. */
export async function findIdempotentIssuance(
  db: Db,
  scope: { caller: string; route: string; key: string },
  now: Date,
): Promise<{ bodyHash: Buffer; serial: Buffer } | undefined> {
  const row = await db.idempotencyRecord.findUnique({ where: { caller_route_key: { caller: scope.caller, route: scope.route, key: scope.key } } });
  if (!row?.serial) return undefined;
  if (row.expiresAt <= now) {
    await db.idempotencyRecord.deleteMany({ where: { caller: scope.caller, route: scope.route, key: scope.key, expiresAt: { lte: now } } });
    return undefined;
  }
  return { bodyHash: buffer(row.bodyHash), serial: buffer(row.serial) };
}
