import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { PurgeUnderWay, purgeAuditEvents } from '../audit/purge.ts';
import { loadConfig, type Environment } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { StartupError } from '../core/errors.ts';
import { redactSecrets } from '../core/log.ts';
import { createSystemRandom } from '../core/random.ts';
import { purgeScope } from '../db/audit-purge.ts';
import { connect, type Db } from '../db/client.ts';
import { startEmbedded } from '../db/embedded.ts';
import type { Output } from './config-check.ts';

const HELP = `signet audit purge --before <date> [--yes] [--json]

Deletes audit events older than a date, as the role that owns the tables; their numbers and SHA-256 leaf hashes (RFC 6962) stay, so that what is left, and evidence
made before, can still be checked. Personal fields of these events go for good. Without --yes nothing is deleted: it says what would be.
Every batch is recorded in the audit log itself. Interrupted, it goes on where it was when started again.

  --before <date>   2026-01-31, or with a time: 2026-01-31T12:00:00Z
  --yes             delete
  --json            one JSON object

Reads the configuration as the service does (SIGNET_OWNER_DATABASE_URL, DATABASE_URL, SIGNET_DATA_DIR).
Example: signet audit purge --before 2026-01-01 --yes
Exit codes: 0 done (or shown), 64 wrong use, 69 database not reached or not the owner, 75 another purge is under way, 78 the configuration has faults.
`;

const EXIT = { ok: 0, usage: 64, unavailable: 69, busy: 75 } as const;
/** A batch is 2,000 rows with their indexes: more than this means something is wrong. */
const STATEMENT_TIMEOUT_MS = 60_000;

interface Asked {
  before: Date;
  yes: boolean;
  json: boolean;
}

/** `signet audit purge`. Returns the exit code; faults go to `err` with what to do next. */
export async function auditPurge(args: readonly string[], env: Environment | undefined, io: { out: Output; err: Output }): Promise<number> {
  const asked = parse(args, systemClock.now());
  if (asked === 'help') {
    io.out.write(HELP);
    return EXIT.ok;
  }
  if (typeof asked === 'string') {
    io.err.write(`signet audit purge: ${asked}\nHow to use it: signet audit purge --help\n`);
    return EXIT.usage;
  }
  try {
    return await withOwnerDatabase(loadConfig(env), (ownerDb) => purge(ownerDb, asked, io.out));
  } catch (error) {
    return explain(error, io.err);
  }
}

function parse(args: readonly string[], now: Date): Asked | string {
  try {
    const { values } = parseArgs({ args: [...args], options: { before: { type: 'string' }, yes: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
    if (values.help === true) return 'help';
    if (values.before === undefined) return '--before is missing';
    const before = /^\d{4}-\d\d-\d\d(T[\d:.]+Z)?$/.test(values.before) ? new Date(values.before) : new Date(NaN);
    if (Number.isNaN(before.getTime())) return '--before must be a date such as 2026-01-31 or 2026-01-31T12:00:00Z';
    if (before > now) return '--before lies in the future';
    return { before, yes: values.yes === true, json: values.json === true };
  } catch (error) {
    return (error as Error).message;
  }
}

async function purge(ownerDb: Db, { before, yes, json }: Asked, out: Output): Promise<number> {
  const { first, until } = await purgeScope(ownerDb, before);
  const matching = first === undefined || until <= first.n ? 0n : until - first.n;
  let purged = 0n;
  if (yes && matching > 0n) {
    const operator = userInfo().username;
    const origin = { actor: { kind: 'command', id: 'audit purge' }, requestId: null, source: null } as const;
    purged = await purgeAuditEvents({ ownerDb, random: createSystemRandom() }, origin, { before, until, operator, now: () => systemClock.now() });
  }
  if (json) out.write(`${JSON.stringify({ before: before.toISOString(), oldest: first?.at.toISOString() ?? null, matching: Number(matching), purged: Number(purged) })}\n`);
  else if (yes) out.write(`${purged} audit events older than ${before.toISOString()} were purged; their hashes are kept\n`);
  else out.write(`about ${matching} audit events are older than ${before.toISOString()}${first ? ` (the oldest is of ${first.at.toISOString()})` : ''}; to delete them: --yes\n`);
  return EXIT.ok;
}

function explain(error: unknown, err: Output): number {
  if (error instanceof PurgeUnderWay) {
    err.write('signet audit purge: another purge is under way; it can be left to finish\n');
    return EXIT.busy;
  }
  const message = redactSecrets(error instanceof Error ? error.message : String(error)).trim();
  if (error instanceof StartupError) {
    err.write(`signet audit purge: ${message}\n`);
    return error.exitCode;
  }
  const isDenied = /42501|permission denied|append-only/.test(message);
  err.write(`signet audit purge: ${message}\n${isDenied ? 'Only the role that owns the tables may purge: give SIGNET_OWNER_DATABASE_URL\n' : 'Is the database there? signet config check\n'}`);
  return EXIT.unavailable;
}

/** The database as its owner; the embedded one is started for the time of `work`. */
async function withOwnerDatabase<T>(config: Config, work: (ownerDb: Db) => Promise<T>): Promise<T> {
  const embedded = config.databaseUrl === undefined ? await startEmbedded({ dataDir: config.dataDir }) : undefined;
  const url = embedded?.ownerUrl ?? config.ownerDatabaseUrl ?? config.databaseUrl ?? '';
  const ownerDb = connect(url, { maxConnections: 1, statementTimeoutMs: STATEMENT_TIMEOUT_MS, applicationName: 'signet-audit-purge' });
  try {
    return await work(ownerDb);
  } finally {
    await ownerDb.$disconnect();
    await embedded?.stop();
  }
}
