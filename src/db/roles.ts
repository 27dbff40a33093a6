import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import pg from 'pg';
import { createSystemRandom } from '../core/random.ts';
import type { Db } from './client.ts';

export interface ServiceRole {
  name: string;
  /** Given: the role is ours to make, and gets this password. Not given: it exists, and only gets its rights. */
  password?: string;
}

/** Append-only for the service: what happened can be told, never untold (DESIGN invariant 10). */
const APPEND_ONLY = ['audit_events', 'audit_personal', 'worlds', 'audit_tiles', 'audit_checkpoints', 'audit_cosignatures'];
const READ_ONLY = ['_prisma_migrations', 'audit_leaf_hashes'];
/** Owned rows that the service may change: it holds, releases and revokes what a recovery laid down, lets the audit tree grow, and takes its lease. */
const UPDATE_ONLY = ['carried_revocations', 'audit_trees', 'audit_sequencer'];
/** Nothing of them goes: a log that stopped or ended, the right edge of the tree, what a witness said. */
const NEVER_DELETED = ['audit_logs', 'audit_tree_edges', 'audit_witnesses'];

/**
 * Gives the service's role exactly the rights it needs, in one transaction. Idempotent; run it as the owner after each migration, under the start lock.
 * Partitions get no rights of their own: they are reached through their parent.
 */
export async function ensureServiceRole(ownerUrl: string, role: ServiceRole): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const name = client.escapeIdentifier(role.name);
    await client.query('BEGIN');
    if (role.password !== undefined) await ensureLogin(client, role.name, role.password);
    await client.query(`REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ${name}`);
    for (const statement of [
      `GRANT USAGE ON SCHEMA public TO ${name}`,
      `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ${name}`,
      ...(await tables(client)).map((table) => `GRANT ${rightsOn(table)} ON ${client.escapeIdentifier(table)} TO ${name}`),
    ]) {
      await client.query(statement);
    }
    // PostgreSQL 14 lets everybody create in `public`; only that schema's owner can end it.
    await client.query("DO $$ BEGIN REVOKE CREATE ON SCHEMA public FROM PUBLIC; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$");
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

function rightsOn(table: string): string {
  if (READ_ONLY.includes(table)) return 'SELECT';
  if (UPDATE_ONLY.includes(table)) return 'SELECT, UPDATE';
  if (NEVER_DELETED.includes(table)) return 'SELECT, INSERT, UPDATE';
  return APPEND_ONLY.includes(table) ? 'SELECT, INSERT' : 'SELECT, INSERT, UPDATE, DELETE';
}

async function tables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname !~ '^certificates_d[0-9]+$' ORDER BY 1",
  );
  return rows.map(({ name }) => name);
}

async function ensureLogin(client: pg.Client, name: string, password: string): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
  const verb = rowCount === 0 ? 'CREATE' : 'ALTER';
  const attributes = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS';
  await client.query(`${verb} ROLE ${client.escapeIdentifier(name)} ${attributes} PASSWORD ${client.escapeLiteral(scramVerifier(password))}`);
}

const SCRAM_ITERATIONS = 4096;

/**
 * What PostgreSQL keeps of a password (RFC 5803): given this instead of the password itself, a server that logs its statements logs no secret. For passwords
 * of visible ASCII, which SASLprep leaves as they are.
 */
export function scramVerifier(password: string, salt: Uint8Array = createSystemRandom().bytes(16)): string {
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, 32, 'sha256');
  const keyed = (name: string) => createHmac('sha256', salted).update(name).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${Buffer.from(salt).toString('base64')}$${storedKey}:${keyed('Server Key').toString('base64')}`;
}

/** The role a URL leads to, which behind a pooler need not be the one it names. */
export async function roleOf(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>('SELECT current_user::text AS name');
    return rows[0]?.name ?? '';
  } finally {
    await client.end();
  }
}

/** Whether the service could change its own audit log: it is superuser, or (a member of) the role that owns the table. Warned about and shown in /readyz. */
export async function isSingleRole(serviceDb: Db): Promise<boolean> {
  const rows = await serviceDb.$queryRaw<{ single: boolean }[]>`
    SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR pg_has_role(current_user, relowner, 'MEMBER') AS single
    FROM pg_class WHERE oid = 'audit_events'::regclass`;
  return rows[0]?.single ?? true;
}
