/** A kill of ten thousand certificates, and its resume: what it took is printed, what it did is judged. */
import fs from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { expectWhole } from '../support/fault/judge.ts';
import { ok } from '../support/fault/fleet.ts';
import { rowsOf } from '../support/fault/sessions.ts';
import { jsonOf } from '../support/https-client.ts';
import { runSql } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';

const AGENTS = 2_000;
const CERTIFICATES = 10_000;

let service: Service;
beforeAll(async () => {
  service = await startService({ env: { SIGNET_WORKERS: '1', SIGNET_KILL_LOOK_MAX: '5000' } });
  const { items } = jsonOf<{ items: { id: string; kind: string; state: string }[] }>(ok(await service.admin.send('GET', '/v1/authorities')));
  const issuer = items.find(({ kind, state }) => kind === 'issuing' && state === 'active')?.id ?? '';
  // Certificates without an issuance: to issue so many would be another test.
  await runSql(service.database.ownerUrl, `
    INSERT INTO owners (id, email, created_at) VALUES ('01KAMV3W5Q0000000000000000', 'many@example.com', now());
    INSERT INTO agents (id, name, state, owner_id, purpose, risk_class, environment, profile, created_at, updated_at)
      SELECT '01KAMV3W5Q' || lpad(i::text, 16, '0'), 'many-' || i, 'active', '01KAMV3W5Q0000000000000000', 'testing', 'limited', 'production', 'agent', now(), now() FROM generate_series(1, ${AGENTS}) i;
    INSERT INTO instances (id, agent_id, state, generation, tip_serial, enrolled_by, created_at, updated_at)
      SELECT '01KAMV3W5R' || lpad(i::text, 16, '0'), '01KAMV3W5Q' || lpad((1 + i % ${AGENTS})::text, 16, '0'), 'active', 1, '\\x00', 'test', now(), now() FROM generate_series(1, ${CERTIFICATES}) i;
    INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at)
      SELECT bucket, decode('01' || lpad(to_hex(bucket), 6, '0') || md5(i::text), 'hex'), '${issuer}', '01KAMV3W5Q' || lpad((1 + i % ${AGENTS})::text, 16, '0'), '01KAMV3W5R' || lpad(i::text, 16, '0'),
        'agent', 0, 1, sha256(i::text::bytea), sha256(('k' || i)::bytea), decode(repeat(md5(i::text), 24), 'hex'), now(), ends, now()
      FROM generate_series(1, ${CERTIFICATES}) i, LATERAL (SELECT now() + interval '5 hours' AS ends) e, LATERAL (SELECT floor(extract(epoch FROM ends) / 86400)::int AS bucket) b;
    INSERT INTO public_keys (key_hash, agent_id, instance_id, first_seen_at, not_after) SELECT key_hash, agent_id, instance_id, issued_at, not_after FROM certificates WHERE profile = 'agent' AND generation = 1
      ON CONFLICT DO NOTHING;
    ANALYZE certificates; ANALYZE agents`);
}, 60_000);
afterAll(() => service.close());

interface Kill {
  id: string;
  state: string;
  agents: number;
  certificates: number;
  released: number;
}

const took: string[] = [];
/** CPU time of Signet itself until now, milliseconds (proc(5): ticks of 10 ms). */
function cpuMs(): number {
  const [, , , , , , , , , , , user = '0', system = '0'] = fs.readFileSync(`/proc/${service.signet.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(user) + Number(system)) * 10;
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const [startedMs, startedCpuMs] = [performance.now(), cpuMs()];
  const result = await work();
  took.push(`${what}: ${Math.round(performance.now() - startedMs)} ms, of which Signet's own CPU ${cpuMs() - startedCpuMs} ms`);
  return result;
}

async function kill(what: string, body: object): Promise<Kill> {
  const json = { ...body, reason: 'measured' };
  const { confirm } = jsonOf<{ confirm: string }>(ok(await timed(`${what}, dry run`, () => service.admin.send('POST', '/v1/kill', { json: { ...json, dryRun: true } }))));
  return jsonOf<Kill>(ok(await timed(what, () => service.admin.send('POST', '/v1/kill', { json: { ...json, confirm } }))));
}

const resume = (what: string, { id }: Kill) => timed(`${what}, resumed`, async () => jsonOf<Kill>(ok(await service.admin.send('POST', `/v1/kills/${id}/resume`, { json: {} }))));
const good = () => rowsOf<{ n: number }>(service.database, 'SELECT count(*)::int AS n FROM certificates WHERE revoked_at IS NULL AND held_at IS NULL').then(([row]) => row?.n);

test('of a profile that few have, in a large table: not all is looked at, and a confirmation is asked for', async () => {
  const json = { selector: { profile: 'ephemeral' }, reason: 'looked' };
  expect(jsonOf(ok(await service.admin.send('POST', '/v1/kill', { json: { ...json, dryRun: true } })))).toMatchObject({ certificates: 0, isExact: false, needsConfirm: true });
  const refused = await service.admin.send('POST', '/v1/kill', { json });
  expect(jsonOf<{ code: string; detail: string }>(refused)).toMatchObject({ code: 'kill-confirmation-required', detail: expect.stringContaining('at least') });
});

test('of more agents than change their states at once: all of them, whoever finishes', async () => {
  await runSql(service.database.ownerUrl, `
    INSERT INTO owners (id, email, created_at) VALUES ('01KAMV3W5Q0000000000000001', 'more@example.com', now());
    INSERT INTO agents (id, name, state, owner_id, purpose, risk_class, environment, profile, created_at, updated_at)
      SELECT '01KAMV3W5S' || lpad(i::text, 16, '0'), 'more-' || i, 'active', '01KAMV3W5Q0000000000000001', 'testing', 'limited', 'production', 'agent', now(), now() FROM generate_series(1, 4500) i`);
  const states = () => rowsOf<{ state: string; n: number }>(service.database, `SELECT state, count(*)::int AS n FROM agents WHERE name LIKE 'more-%' GROUP BY state`);
  const done = await kill('4,500 agents without a certificate', { selector: { owner: 'more@example.com' } });
  expect(done).toMatchObject({ state: 'done', agents: 4500, certificates: 0 });
  expect(await states()).toEqual([{ state: 'suspended', n: 4500 }]);
  await resume('of them', done);
  expect(await states()).toEqual([{ state: 'active', n: 4500 }]);
}, 60_000);

test('of an owner, of everything, and for ever', async () => {
  const owner = { selector: { owner: 'many@example.com' } };
  const first = await kill(`${CERTIFICATES} certificates of ${AGENTS} agents of an owner, suspended`, owner);
  expect(first).toMatchObject({ state: 'done', agents: AGENTS, certificates: CERTIFICATES });
  expect(await good()).toBe(0);
  expect(await resume('of the owner', first)).toMatchObject({ state: 'resumed', released: CERTIFICATES });
  expect(await good()).toBe(CERTIFICATES);

  const second = await kill('of everything, suspended', { selector: { everything: true } });
  expect(second).toMatchObject({ state: 'done', certificates: CERTIFICATES });
  expect(await resume('of everything', second)).toMatchObject({ state: 'resumed', released: CERTIFICATES });

  const third = await kill('of the owner, retired', { ...owner, effect: 'retire' });
  expect(third).toMatchObject({ state: 'done', agents: AGENTS, certificates: CERTIFICATES });
  expect(await good()).toBe(0);
  await expectWhole(service, { madeUp: true });
  console.log(took.join('\n'));
}, 120_000);
