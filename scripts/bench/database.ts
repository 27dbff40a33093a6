/** What the bench does in the database itself: rows whose making is not what is measured, and the count afterwards. */
import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { SHARDS } from './crl.ts';

export interface Database {
  /** Active agents, registered under one owner. Returns their ids. */
  insertAgents(count: number): Promise<string[]>;
  /** A join token each, over the agents in turn. Returns the tokens as an agent shows them. */
  insertJoinTokens(agentIds: readonly string[], count: number): Promise<string[]>;
  /** Certificates over the partitions of the coming days, all but `revoked` of them good. Returns the serials of `keep` good ones. */
  insertCertificates(wanted: { count: number; revoked: number; keep: number }, like: Likeness): Promise<Buffer[]>;
  /** Revokes certificates that were put in, until the issuer has `level` revoked ones, or none is left; lists learn of them with the next change. Returns how many it has. */
  revokeSeeded(wanted: { issuerId: string; level: number; except: readonly Buffer[] }): Promise<number>;
  /** What was stored by the service itself. */
  stored(): Promise<Stored>;
  /** Tidies up tables after bulk inserts, so that it is not done while something is measured. */
  settle(...tables: string[]): Promise<void>;
  query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>;
  close(): Promise<void>;
}

/** What certificates put in by SQL have of a real one. */
export interface Likeness {
  issuerId: string;
  der: Buffer;
}

export interface Stored {
  serials: number;
  keys: number;
  audits: number;
  /** As a session of the service's role has them. */
  durability: Record<'fsync' | 'synchronous_commit' | 'full_page_writes', string>;
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const makeUlid = (): string => `01M${[...randomBytes(23)].map((octet) => ALPHABET[octet & 31]).join('')}`;
const INSERT_ROWS = 10_000;
/** Marks rows that no request made: the beginning of their agent's and instance's id. */
const SEEDED = 'SEEDED';
const SEEDED_AGENTS = 100_000;

export async function openDatabase(urls: { owner: string; service: string }): Promise<Database> {
  const owner = new pg.Client({ connectionString: urls.owner });
  // When the service is stopped after a fault, it is the fault that should be seen.
  owner.on('error', () => undefined);
  await owner.connect();
  const query = async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> => (await owner.query<R>(text, values)).rows;

  return {
    query,
    async insertAgents(count) {
      const ids = Array.from({ length: count }, makeUlid);
      await query(`INSERT INTO owners (id, email, created_at) VALUES ('bench', 'bench@example.org', now()) ON CONFLICT DO NOTHING`);
      await query(
        `INSERT INTO agents (id, name, state, owner_id, purpose, risk_class, environment, profile, created_at, updated_at)
         SELECT id, 'bench-' || lower(id), 'active', 'bench', 'bench', 'limited', 'bench', 'agent', now(), now() FROM unnest($1::text[]) AS id`,
        [ids],
      );
      return ids;
    },
    async insertJoinTokens(agentIds, count) {
      const tokens = Array.from({ length: count }, (_, i) => ({ id: makeUlid(), secret: randomBytes(32).toString('base64url'), agentId: agentIds[i % agentIds.length] }));
      await query(
        `INSERT INTO join_tokens (id, secret_hash, agent_id, created_by, created_at, expires_at)
         SELECT id, decode(hash, 'hex'), agent, 'bench', now(), now() + interval '1 hour' FROM unnest($1::text[], $2::text[], $3::text[]) AS t (id, hash, agent)`,
        [tokens.map(({ id }) => id), tokens.map(({ secret }) => createHash('sha256').update(secret).digest('hex')), tokens.map(({ agentId }) => agentId)],
      );
      return tokens.map(({ id, secret }) => `sgj_${id}_${secret}`);
    },
    async insertCertificates({ count, revoked, keep }, { issuerId, der }) {
      const kept: Buffer[] = [];
      for (let done = 0; done < count; ) {
        const isRevoked = done < revoked;
        const rows = Math.min(INSERT_ROWS, (isRevoked ? revoked : count) - done);
        const serials = await query<{ serial: Buffer }>(
          `WITH days AS (SELECT array_agg(substr(relname, 15)::int ORDER BY relname) AS day FROM pg_class WHERE relkind = 'r' AND relname ~ '^certificates_d[0-9]+$'),
           made AS (SELECT day[2 + i % (cardinality(day) - 1)] AS bucket, uuid_send(gen_random_uuid()) AS entropy, i FROM days, generate_series($1::int, $2::int) AS i),
           put AS (
             INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at, revoked_at, revocation_reason)
             SELECT bucket, serial, $3, '${SEEDED}' || i % ${SEEDED_AGENTS}, '${SEEDED}' || i, 'agent', (get_byte(entropy, 0) * 256 + get_byte(entropy, 1)) % ${SHARDS}, 1, sha256(serial), sha256(entropy), $4, now(), to_timestamp(bucket * 86400.0 + 86399), now(),
               CASE WHEN $5 THEN now() END, CASE WHEN $5 THEN 4 END
             FROM made, LATERAL (SELECT '\\x01'::bytea || substr(int4send(bucket), 2) || entropy AS serial) AS s
             RETURNING serial)
           SELECT serial FROM put LIMIT $6`,
          [done + 1, done + rows, issuerId, der, isRevoked, isRevoked ? 0 : keep - kept.length],
        );
        kept.push(...serials.map(({ serial }) => serial));
        done += rows;
      }
      return kept;
    },
    async revokeSeeded({ issuerId, level, except }) {
      const count = async () => (await query<{ revoked: number }>('SELECT count(*)::int AS revoked FROM certificates WHERE issuer_id = $1 AND revoked_at IS NOT NULL', [issuerId]))[0]?.revoked ?? 0;
      const before = await count();
      if (before >= level) return before;
      await query(
        `UPDATE certificates c SET revoked_at = now(), revocation_reason = 4
         FROM (SELECT bucket, serial FROM certificates WHERE issuer_id = $1 AND instance_id LIKE '${SEEDED}%' AND revoked_at IS NULL AND serial <> ALL ($3) LIMIT $2) AS s
         WHERE c.bucket = s.bucket AND c.serial = s.serial`,
        [issuerId, level - before, except],
      );
      await query('VACUUM ANALYZE certificates');
      return count();
    },
    async stored() {
      const [counts] = await query<Omit<Stored, 'durability'>>(
        `SELECT count(DISTINCT serial)::int AS serials, count(DISTINCT key_hash)::int AS keys,
           (SELECT count(*)::int FROM audit_events WHERE kind IN ('certificate.issued', 'certificate.renewed')) AS audits
         FROM certificates WHERE instance_id NOT LIKE '${SEEDED}%'`,
      );
      const service = new pg.Client({ connectionString: urls.service });
      await service.connect();
      const { rows } = await service.query<Stored['durability']>(`SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit, current_setting('full_page_writes') AS full_page_writes`);
      await service.end();
      return { ...(counts as Omit<Stored, 'durability'>), durability: rows[0] as Stored['durability'] };
    },
    async settle(...tables) {
      // Not the empty ones: of a table that was vacuumed when it was empty the planner believes that it is for ever.
      await query(`VACUUM ANALYZE ${tables.join(', ')}`);
      await query('CHECKPOINT');
    },
    close: () => owner.end(),
  };
}
