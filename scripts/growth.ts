/**
 * How a database grows: `node scripts/growth.ts` prints the table of docs/retention.md. Octets a row are measured with their indexes on full tables
 * (test/slow/growth.test.ts measures them again); the rest is arithmetic.
 */

/** Octets of one row with its share of indexes and free space, as pg_total_relation_size of a full table has it, PostgreSQL 18. */
export const OCTETS_A_ROW = {
  certificates: 1_919,
  public_keys: 237,
  audit_events: 1_234,
  audit_personal: 170,
  audit_leaf_hashes: 34,
  instances: 379,
  agents: 427,
  join_tokens: 446,
  feed_events: 199,
  idempotency_records: 365,
  findings: 261,
  job_runs: 201,
} as const;
export type MeasuredTable = keyof typeof OCTETS_A_ROW;

/** What is assumed of every agent. Days of retention are the defaults of the configuration. */
export const ASSUMED = {
  renewalsADay: 24,
  /** One enrollment a month: a restart on a new machine. */
  enrollmentsADay: 1 / 30,
  /** One in a thousand agents is revoked or suspended a day. */
  statusChangesADay: 1 / 1000,
  certificateRetentionDays: 7,
  keyRetentionDays: 400,
  joinTokenRetentionDays: 30,
  feedRetentionDays: 30,
} as const;

const DAYS = 365;
/** A partition holds a day of expiry, the day of issue lies before it, and the job drops whole days. */
const PARTITION_SPARE_DAYS = 2;

interface Growth {
  table: MeasuredTable;
  /** Rows after a year, from an empty start. */
  rows: (agents: number) => number;
  /** What the number of rows is. */
  says: string;
}

const issuedADay = (agents: number) => agents * (ASSUMED.renewalsADay + ASSUMED.enrollmentsADay);

export const GROWTH: readonly Growth[] = [
  { table: 'audit_events', rows: (agents) => DAYS * (issuedADay(agents) + agents * (ASSUMED.enrollmentsADay + 2 * ASSUMED.statusChangesADay)) + agents, says: 'grows for ever: one a certificate, one a join token, two a change of status' },
  { table: 'public_keys', rows: (agents) => Math.min(DAYS, ASSUMED.keyRetentionDays) * issuedADay(agents), says: 'steady after `keyRetentionDays`' },
  { table: 'certificates', rows: (agents) => (ASSUMED.certificateRetentionDays + PARTITION_SPARE_DAYS) * issuedADay(agents), says: 'steady after nine days' },
  { table: 'agents', rows: (agents) => agents, says: 'steady' },
  { table: 'join_tokens', rows: (agents) => ASSUMED.joinTokenRetentionDays * ASSUMED.enrollmentsADay * agents, says: 'steady after a month' },
  { table: 'instances', rows: (agents) => agents * (1 + (ASSUMED.certificateRetentionDays + PARTITION_SPARE_DAYS) * ASSUMED.enrollmentsADay), says: 'steady' },
  { table: 'audit_personal', rows: (agents) => agents, says: 'one a registration; grows with the log' },
  { table: 'feed_events', rows: (agents) => 2 * ASSUMED.feedRetentionDays * ASSUMED.statusChangesADay * agents, says: 'steady after a month' },
];

export const FLEETS = [1_000, 100_000, 10_000_000] as const;

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
/** Three significant digits with the unit that fits, powers of 1,000. */
export function inUnits(value: number, units: readonly string[] = UNITS): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${units[power] ?? ''}`.trim();
}
const inRows = (value: number): string => inUnits(value, ['', 'k', 'M', 'G', 'T']);

/** The table of docs/retention.md. */
export function documentGrowth(): string {
  const head = `| table | octets a row | ${FLEETS.map((agents) => `${agents.toLocaleString('en')} agents`).join(' | ')} | |`;
  const rule = `|---|---:|${FLEETS.map(() => '---:').join('|')}|---|`;
  const octets = (growth: Growth, agents: number) => growth.rows(agents) * OCTETS_A_ROW[growth.table];
  const rows = GROWTH.map((growth) => `| \`${growth.table}\` | ${OCTETS_A_ROW[growth.table]} | ${FLEETS.map((agents) => `${inRows(growth.rows(agents))} = ${inUnits(octets(growth, agents))}`).join(' | ')} | ${growth.says} |`);
  const total = `| **all** | | ${FLEETS.map((agents) => `**${inUnits(GROWTH.reduce((sum, growth) => sum + octets(growth, agents), 0))}**`).join(' | ')} | |`;
  const rates = `| certificates a second | | ${FLEETS.map((agents) => inRows(issuedADay(agents) / 86_400)).join(' | ')} | |`;
  const hashes = `| the same year of audit, purged | ${OCTETS_A_ROW.audit_leaf_hashes} | ${FLEETS.map((agents) => inUnits((GROWTH[0]?.rows(agents) ?? 0) * OCTETS_A_ROW.audit_leaf_hashes)).join(' | ')} | hashes that stay |`;
  return [head, rule, ...rows, total, rates, hashes].join('\n');
}

if (import.meta.main) process.stdout.write(`${documentGrowth()}\n`);
