/** Octets a row, measured: rows as the service writes them, many times over, in a table of their own with all its indexes. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { OCTETS_A_ROW, type MeasuredTable } from '../../scripts/growth.ts';
import { createClient } from '../support/https-client.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { startService, type Service } from '../support/service.ts';

const ROWS = 20_000;
const LONG = 240_000;

let service: Service;
let client: pg.Client;
beforeAll(async () => {
  service = await startService();
  // One of each, by the API.
  const agentId = await service.register({ purpose: 'reads invoices and books them', labels: { team: 'billing', tier: 'two' } });
  const identity = await service.enrolled(agentId);
  const key = { 'idempotency-key': '01M7YKTGW9RER95PCHKHPXW12C' };
  const mtls = createClient({ url: service.signet.urls.mtls, ca: service.signet.rootPem, identity });
  expect((await mtls.send('POST', '/v1/certificates/renew', { json: { csr: makeKeyAndCsr().csr }, headers: key })).status).toBe(201);
  mtls.close();
  await service.order(`/v1/certificates/${identity.serial}/hold`);
  client = new pg.Client({ connectionString: service.database.ownerUrl });
  await client.connect();
  await client.query(`INSERT INTO findings (id, kind, agent_id, instance_id, serial, created_at) SELECT '01M7YKTGW9RER95PCHKHPXW12C', 'copied-key', agent_id, instance_id, serial, now() FROM certificates LIMIT 1`);
}, LONG);
afterAll(async () => {
  await client.end();
  await service.close();
}, LONG);

/** Column values that differ from row to row as real ones do: ids begin with the time, hashes are random. */
const ulid = "upper(lpad(to_hex(1758000000000 + i * 7), 10, '0')) || substr(upper(md5('r' || i)), 1, 16)";
const octets32 = "sha256(('h' || i)::bytea)";
const octets20 = "substr(sha256(('s' || i)::bytea), 1, 20)";
const VARIED: Readonly<Record<Exclude<MeasuredTable, 'audit_leaf_hashes'>, Record<string, string>>> = {
  certificates: { serial: octets20, agent_id: ulid, instance_id: ulid, fingerprint: octets32, key_hash: octets32, superseded_by: octets20, issued_at: "now() + i * interval '1 ms'", der: 'der' },
  public_keys: { key_hash: octets32, agent_id: ulid, instance_id: ulid, not_after: "now() + i * interval '1 ms'" },
  audit_events: { n: 'i + 1000000', id: ulid, at: "now() + i * interval '1 ms'", actor_id: ulid, agent_id: ulid, instance_id: ulid, serial: octets20, request_id: ulid },
  audit_personal: { event_id: ulid },
  instances: { id: ulid, agent_id: 'agent_id', tip_serial: octets20 },
  agents: { id: ulid, name: "'agent-of-a-fleet-' || i" },
  join_tokens: { id: ulid, secret_hash: octets32, expires_at: "now() + i * interval '1 ms'", used_key_hash: octets32, used_serial: octets20, used_instance_id: ulid },
  feed_events: { n: 'i + 1000000', serial: octets20 },
  idempotency_records: { key: "encode(sha256(('k' || i)::bytea), 'base64')", caller: `'agent:' || ${ulid}`, body_hash: octets32, serial: octets20, expires_at: "now() + i * interval '1 ms'" },
  findings: { id: ulid, instance_id: ulid, serial: octets20 },
  job_runs: { bucket: "date_trunc('minute', now()) + i * interval '1 minute'" },
};
/** The row to copy: what the service writes most. */
const SAMPLE: Partial<Record<MeasuredTable, string>> = {
  audit_events: "kind = 'certificate.renewed'", idempotency_records: "route = 'renewCertificate'", join_tokens: 'used_at IS NOT NULL', feed_events: 'serial IS NOT NULL', job_runs: "outcome = 'succeeded'",
};

async function measure(table: Exclude<MeasuredTable, 'audit_leaf_hashes'>): Promise<number> {
  const { rows: columns } = await client.query<{ name: string }>("SELECT attname::text AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum", [table]);
  const values = columns.map(({ name }) => VARIED[table][name] ?? `sample.${name}`);
  // Rows of a partitioned table rest in its partitions, which leave room on the page for updates.
  const { rows: options } = await client.query<{ options: string[] | null }>("SELECT reloptions AS options FROM pg_class WHERE relname = $1 OR relname ~ ('^' || $1 || '_d[0-9]+$') ORDER BY relkind = 'p' LIMIT 1", [table]);
  await client.query(`CREATE TABLE measured (LIKE ${table} INCLUDING ALL)${options[0]?.options ? ` WITH (${options[0].options.join(', ')})` : ''}`);
  try {
    await client.query(`INSERT INTO measured SELECT ${values.join(', ')} FROM (SELECT * FROM ${table} WHERE ${SAMPLE[table] ?? 'true'} LIMIT 1) sample, generate_series(1, ${ROWS}) i`);
    const { rows } = await client.query<{ octets: string; rows: string }>('SELECT pg_total_relation_size($1::regclass) AS octets, (SELECT count(*) FROM measured) AS rows', ['measured']);
    expect(Number(rows[0]?.rows)).toBe(ROWS);
    return Number(rows[0]?.octets) / ROWS;
  } finally {
    await client.query('DROP TABLE measured');
  }
}

async function measureHashes(): Promise<number> {
  await client.query('CREATE TABLE measured (LIKE audit_leaf_hashes INCLUDING ALL)');
  const batch = 2_000;
  await client.query(`INSERT INTO measured SELECT i * ${batch} + 1, (i + 1) * ${batch}, (SELECT string_agg(sha256((i || '.' || j)::bytea), ''::bytea) FROM generate_series(1, ${batch}) j), now() FROM generate_series(0, 99) i`);
  const { rows } = await client.query<{ octets: string }>("SELECT pg_total_relation_size('measured') AS octets");
  await client.query('DROP TABLE measured');
  return Number(rows[0]?.octets) / (100 * batch);
}

test('a row takes what docs/retention.md counts with, give or take a tenth', async () => {
  const measured: Record<string, number> = { audit_leaf_hashes: Math.round(await measureHashes()) };
  for (const table of Object.keys(VARIED) as (keyof typeof VARIED)[]) measured[table] = Math.round(await measure(table));
  const far = Object.entries(OCTETS_A_ROW).filter(([table, octets]) => Math.abs((measured[table] ?? 0) - octets) > Math.max(octets / 10, 5));
  expect({ far: far.map(([table]) => table), measured }).toEqual({ far: [], measured });
}, LONG);
