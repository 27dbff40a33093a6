import { Prisma, type Tx } from './client.ts';
import { REMOVED } from './carried-revocations.ts';
import { CERTIFICATE_HOLD } from './crls.ts';
import { bucketOf } from '../x509/serial.ts';

export interface SnapshotSelector {
  /** Certificates that ended before are left out. */
  notAfter: Date;
  /** Whether agents, instances and owners are named. */
  identity: boolean;
  /** Agents and instances whose end lies before are left out: no certificate of theirs can live. */
  endedSince: Date;
  /** Names of CRLReason codes, by code. */
  reasons: readonly string[];
}

/** Where the feed stood at the moment of the transaction. */
export interface SnapshotStanding {
  cluster: string;
  epoch: number;
  n: bigint;
  /** The database's clock, which all replicas share. */
  now: Date;
}

export async function readSnapshotStanding(tx: Tx): Promise<SnapshotStanding> {
  const [row] = await tx.$queryRaw<SnapshotStanding[]>`SELECT c.id AS cluster, c.epoch, f.value AS n, now() AS now FROM cluster c JOIN counters f ON f.name = 'feed'`;
  if (!row) throw new Error('there is no cluster');
  return row;
}

/** Lines fetched at once: bound memory and the time the event loop is taken at a stretch. */
const FETCHED = 2_000;

const time = (column: Prisma.Sql) => Prisma.sql`to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/**
 * Lines of JSON of everything that is not good and has not ended, in pages and in no particular order, of the one moment of the transaction (which must be
 * repeatable read). The database writes the lines: a million of them made here would take the event loop for seconds.
 */
export async function* readNotGood(tx: Tx, { notAfter, identity, endedSince, reasons }: SnapshotSelector): AsyncGenerator<string[]> {
  const whose = identity ? Prisma.sql`, 'agentId', c.agent_id, 'instanceId', c.instance_id` : Prisma.empty;
  const name = (code: Prisma.Sql) => Prisma.sql`(${[...reasons]}::text[])[coalesce(${code}, 0) + 1]`;
  const certificates = Prisma.sql`
    SELECT json_build_object('type', 'certificate', 'serial', encode(c.serial, 'hex'), 'status', CASE WHEN c.revoked_at IS NULL THEN 'held' ELSE 'revoked' END,
      'reason', ${name(Prisma.sql`CASE WHEN c.revoked_at IS NULL THEN ${CERTIFICATE_HOLD}::int ELSE c.revocation_reason END`)},
      'at', ${time(Prisma.sql`coalesce(c.revoked_at, c.held_at)`)}, 'notAfter', ${time(Prisma.sql`c.not_after`)}${whose})::text AS line
    FROM certificates c WHERE c.bucket >= ${bucketOf(notAfter)}::int AND c.not_after > ${notAfter}::timestamptz AND (c.revoked_at IS NOT NULL OR c.held_at IS NOT NULL)
    UNION ALL
    SELECT json_build_object('type', 'certificate', 'serial', encode(r.serial, 'hex'), 'status', CASE WHEN r.reason = ${CERTIFICATE_HOLD}::int THEN 'held' ELSE 'revoked' END,
      'reason', ${name(Prisma.sql`r.reason`)}, 'at', ${time(Prisma.sql`r.revoked_at`)}, 'notAfter', ${time(Prisma.sql`r.not_after`)})::text
    FROM carried_revocations r WHERE r.not_after > ${notAfter}::timestamptz AND r.reason <> ${REMOVED}::int
    UNION ALL
    SELECT json_build_object('type', 'stop', 'stop', CASE WHEN s.kind = 'everything' THEN s.kind ELSE s.kind || ':' || s.target END)::text FROM issuance_stops s`;
  const subjects = Prisma.sql`
    UNION ALL
    SELECT json_build_object('type', 'agent', 'agentId', a.id, 'state', a.state)::text FROM agents a WHERE a.state = 'suspended' OR a.state = 'retired' AND a.updated_at >= ${endedSince}::timestamptz
    UNION ALL
    SELECT json_build_object('type', 'instance', 'instanceId', i.id, 'agentId', i.agent_id, 'state', i.state)::text FROM instances i
    WHERE i.state = 'quarantined' OR i.state = 'revoked' AND i.updated_at >= ${endedSince}::timestamptz
    UNION ALL
    SELECT json_build_object('type', 'owner', 'ownerId', o.id, 'state', o.state)::text FROM owners o WHERE o.state = 'suspended'`;
  await tx.$executeRaw`DECLARE not_good NO SCROLL CURSOR FOR ${certificates}${identity ? subjects : Prisma.empty}`;
  for (;;) {
    const rows = await tx.$queryRaw<{ line: string }[]>`FETCH ${Prisma.raw(String(FETCHED))} FROM not_good`;
    if (rows.length > 0) yield rows.map(({ line }) => line);
    if (rows.length < FETCHED) break;
  }
}
