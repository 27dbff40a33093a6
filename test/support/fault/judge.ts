import { execFile } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from '@jest/globals';
import type { TestDatabase } from '../db.ts';
import { jsonOf } from '../https-client.ts';
import { parseCrl } from '../../../src/x509/crl.ts';
import { ok, type Fleet, type Replica } from './fleet.ts';
import { rowsOf } from './sessions.ts';

const run = promisify(execFile);

/** One serial's fate by each way that a relying party has to learn it. */
export interface Verdict {
  /** openssl ocsp, signature and all. */
  ocsp: string;
  /** POST /v1/status */
  status: string;
  listed: boolean;
}

/** Asks one replica about serials; programs that are not ours read what is signed. */
export async function verdictsAt(fleet: Fleet, replica: Replica, serials: readonly string[]): Promise<Record<string, Verdict>> {
  if (serials.length === 0) return {};
  const [ocsp, status, list] = await Promise.all([ocspOf(fleet, replica, serials), statusOf(replica, serials), crlOf(fleet, replica)]);
  return Object.fromEntries(serials.map((serial) => [serial, { ocsp: ocsp.get(serial) ?? 'no answer', status: status.get(serial) ?? 'no answer', listed: list.serials.has(serial) }]));
}

/** Serials in one request: config ocspMaxCertIds. */
const OCSP_BATCH = 16;

async function ocspOf(fleet: Fleet, replica: Replica, serials: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (let start = 0; start < serials.length; start += OCSP_BATCH) {
    const asked = serials.slice(start, start + OCSP_BATCH).flatMap((serial) => ['-serial', `0x${serial}`]);
    const issuer = path.join(fleet.folder, 'issuer.pem');
    const trust = ['-CAfile', path.join(fleet.folder, 'root.pem'), '-verify_other', issuer];
    const { stdout, stderr } = await run('openssl', ['ocsp', '-issuer', issuer, '-url', `${replica.process.urls.status}/ocsp`, ...trust, ...asked]);
    if (!stderr.includes('Response verify OK')) throw new Error(`openssl does not verify the OCSP answer: ${stdout}${stderr}`);
    for (const [, serial = '', status = ''] of stdout.matchAll(/^0x([0-9a-f]+): (\w+)/gm)) found.set(serial, status);
  }
  return found;
}

async function statusOf(replica: Replica, serials: readonly string[]): Promise<Map<string, string>> {
  const { statuses } = jsonOf<{ statuses: { serial: string; status: string }[] }>(ok(await replica.api.send('POST', '/v1/status', { json: { serials } })));
  return new Map(statuses.map(({ serial, status }) => [serial, status]));
}

/** The complete list of the active issuer as this replica serves it. */
export async function crlOf(fleet: Fleet, replica: Replica): Promise<{ number: bigint; serials: Set<string> }> {
  const { body } = ok(await replica.status.send('GET', `/crl/${fleet.issuerId}/complete.crl`));
  return readList(body);
}

export function readList(der: Buffer): { number: bigint; serials: Set<string> } {
  const list = parseCrl(der);
  return { number: list.crlNumber ?? -1n, serials: new Set([...list.entries()].map(({ serial }) => serial.toString('hex'))) };
}

/** How long lists and other replicas may take to tell of an acknowledged change: pacing of lists, a feed poll, a busy machine. */
const LEARN_MS = 15_000;

/** Expects what each replica says of each serial, as soon as lists and feeds allow. */
export async function expectVerdicts(fleet: Fleet, expected: Record<string, Verdict>): Promise<void> {
  for (const replica of fleet.replicas) {
    let seen = await verdictsAt(fleet, replica, Object.keys(expected));
    for (const deadline = performance.now() + LEARN_MS; performance.now() < deadline && !matches(seen, expected); await sleep(100)) {
      seen = await verdictsAt(fleet, replica, Object.keys(expected));
    }
    expect(seen).toEqual(expected);
  }
}

const matches = (seen: Record<string, Verdict>, expected: Record<string, Verdict>): boolean =>
  Object.entries(expected).every(([serial, { ocsp, status, listed }]) => {
    const verdict = seen[serial];
    return verdict?.ocsp === ocsp && verdict.status === status && verdict.listed === listed;
  });

export const GOOD: Verdict = { ocsp: 'good', status: 'good', listed: false };
export const REVOKED: Verdict = { ocsp: 'revoked', status: 'revoked', listed: true };
export const HELD: Verdict = { ocsp: 'revoked', status: 'held', listed: true };

/** A certificate as its row says. */
export interface StoredStatus {
  serial: string;
  state: 'good' | 'held' | 'revoked';
  generation: number;
}

/** Every certificate ever stored for an agent, oldest first. */
export const storedOf = ({ database }: Fleet, agentId: string): Promise<StoredStatus[]> =>
  rowsOf<StoredStatus>(
    database,
    `SELECT encode(serial, 'hex') AS serial, generation, CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN held_at IS NOT NULL THEN 'held' ELSE 'good' END AS state
     FROM certificates WHERE agent_id = $1 ORDER BY generation, issued_at, serial`,
    [agentId],
  );

/** Each line is one thing that must never be found, whatever was killed when: it says what is half there. */
const HALF_ISSUED: Record<string, string> = {
  'certificates without exactly one audit event that carries their fingerprint': `
    SELECT encode(c.serial, 'hex') AS it FROM certificates c WHERE 1 <> (SELECT count(*) FROM audit_events e WHERE e.serial = c.serial
      AND e.kind IN ('certificate.issued', 'certificate.renewed') AND convert_from(e.event, 'UTF8')::jsonb ->> 'fingerprint' = encode(c.fingerprint, 'hex'))`,
  'issuance events without a certificate': `
    SELECT encode(e.serial, 'hex') AS it FROM audit_events e WHERE e.kind IN ('certificate.issued', 'certificate.renewed') AND NOT EXISTS (SELECT FROM certificates c WHERE c.serial = e.serial)`,
  'certificates without their key or instance': `
    SELECT encode(c.serial, 'hex') AS it FROM certificates c WHERE NOT EXISTS (SELECT FROM public_keys k WHERE k.key_hash = c.key_hash AND k.agent_id = c.agent_id)
      OR NOT EXISTS (SELECT FROM instances s WHERE s.id = c.instance_id AND s.agent_id = c.agent_id)`,
  'keys without a certificate': `SELECT encode(k.key_hash, 'hex') AS it FROM public_keys k WHERE NOT EXISTS (SELECT FROM certificates c WHERE c.key_hash = k.key_hash)`,
  'instances whose tip is not their one certificate without successor': `
    SELECT s.id AS it FROM instances s
    WHERE ARRAY[s.tip_serial] <> ARRAY(SELECT c.serial FROM certificates c WHERE c.instance_id = s.id AND c.superseded_by IS NULL AND NOT c.displaced)`,
  'spent join tokens without their one certificate': `
    SELECT t.id AS it FROM join_tokens t WHERE (t.used_at IS NOT NULL AND NOT EXISTS (SELECT FROM certificates c WHERE c.serial = t.used_serial))
      OR (SELECT count(*) FROM instances s WHERE s.enrolled_by = 'join-token:' || t.id) <> (CASE WHEN t.used_at IS NULL THEN 0 ELSE 1 END)`,
};

/** The same for changes of status, feed, audit log and lists. */
const HALF_CHANGED: Record<string, string> = {
  'revocations that the feed or the audit log lacks': `
    SELECT encode(c.serial, 'hex') AS it FROM certificates c WHERE c.revoked_at IS NOT NULL AND (NOT EXISTS (SELECT FROM feed_events f WHERE f.serial = c.serial AND f.kind = 'revoked')
      OR NOT EXISTS (SELECT FROM audit_events e WHERE e.serial = c.serial AND e.kind IN ('certificate.revoked', 'certificate.displaced')))`,
  'revocations of the feed that the certificate lacks': `
    SELECT encode(f.serial, 'hex') AS it FROM feed_events f JOIN certificates c ON c.serial = f.serial WHERE f.kind = 'revoked' AND c.revoked_at IS NULL`,
  'revoked certificates whose key is not blocked': `
    SELECT encode(c.serial, 'hex') AS it FROM certificates c JOIN public_keys k ON k.key_hash = c.key_hash WHERE c.revoked_at IS NOT NULL AND k.blocked_at IS NULL`,
  'good certificates of an agent or instance that may have none': `
    SELECT encode(c.serial, 'hex') AS it FROM certificates c JOIN agents a ON a.id = c.agent_id JOIN instances s ON s.id = c.instance_id
    WHERE (a.state <> 'active' OR s.state <> 'active') AND c.revoked_at IS NULL AND c.held_at IS NULL`,
  'suspensions without feed or audit, and the other way round': `
    SELECT a.id AS it FROM agents a WHERE a.state = 'suspended' AND (NOT EXISTS (SELECT FROM feed_events f WHERE f.agent_id = a.id AND f.kind = 'agent-suspended')
      OR NOT EXISTS (SELECT FROM audit_events e WHERE e.agent_id = a.id AND e.kind = 'agent.suspended' AND (e.target = a.suspension_id OR e.target = ANY (a.kill_ids))))`,
  'certificates that a kill covers and that are not on hold for it': `
    SELECT encode(c.serial, 'hex') AS it FROM kills k JOIN agents a ON k.id = ANY (a.kill_ids) JOIN certificates c ON c.agent_id = a.id
    WHERE k.state = 'done' AND k.effect = 'suspend' AND c.revoked_at IS NULL AND NOT ('kill:' || k.id = ANY (c.hold_causes))`,
  'holds of kills that are resumed, or that nobody began': `
    SELECT encode(c.serial, 'hex') AS it FROM certificates c, unnest(c.hold_causes) AS h (cause)
    WHERE c.revoked_at IS NULL AND h.cause LIKE 'kill:%' AND NOT EXISTS (SELECT FROM kills k WHERE 'kill:' || k.id = h.cause AND k.state <> 'resumed')`,
  'numbers of kills that are not those of the audit log': `
    SELECT k.id AS it FROM kills k WHERE k.certificates <> (SELECT count(*) FROM audit_events e WHERE e.target = k.id AND e.kind IN ('certificate.held', 'certificate.revoked'))
      OR (k.state IN ('done', 'resumed') AND NOT EXISTS (SELECT FROM audit_events e WHERE e.target = k.id AND e.kind = 'kill.finished'))`,
  'gaps in the numbers of feed and audit log': `
    SELECT name AS it FROM counters WHERE value <> CASE name WHEN 'feed' THEN (SELECT count(*) FROM feed_events) ELSE (SELECT count(*) FROM audit_events) END
      OR value <> CASE name WHEN 'feed' THEN (SELECT coalesce(max(n), 0) FROM feed_events) ELSE (SELECT coalesce(max(n), 0) FROM audit_events) END`,
  'lists whose number is not that of their audit events': `
    SELECT l.issuer_id AS it FROM crls l WHERE l.number <> (SELECT count(*) FROM audit_events e WHERE e.kind = 'crl.published'
      AND e.target = l.issuer_id || '/' || CASE l.shard WHEN -1 THEN 'complete' ELSE l.shard::text END)`,
};

/** Expects that nothing in the database is half there: what was begun is whole, or not there at all. `madeUp`: the certificates are rows without an issuance. */
export async function expectWhole({ database }: { database: Pick<TestDatabase, 'ownerUrl'> }, { madeUp = false } = {}): Promise<void> {
  const questions = Object.entries(madeUp ? HALF_CHANGED : { ...HALF_ISSUED, ...HALF_CHANGED });
  const rows = await rowsOf<{ question: number; it: string }>(database, questions.map(([, sql], n) => `SELECT ${n} AS question, it FROM (${sql}) AS q${n}`).join(' UNION ALL '));
  const found: Record<string, string[]> = {};
  for (const { question, it } of rows) (found[questions[question]?.[0] ?? ''] ??= []).push(it);
  expect(found).toEqual({});
}
