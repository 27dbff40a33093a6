/** A kill of few, done at once in the database, beside the same kill in steps: rows of every table, of the feed and of the log, after the kill and after its resume. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ok } from '../support/fault/fleet.ts';
import { rowsOf } from '../support/fault/sessions.ts';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';
import { startService, type Identity, type Service } from '../support/service.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

let service: Service;
/** Another replica over the same database: nothing is few enough for it, so that all that it kills goes in steps. */
let other: SignetProcess;
let inSteps: Pick<Service, 'admin'>;
beforeAll(async () => {
  service = await startService({ env: { SIGNET_KILL_CONFIRM_ABOVE: '100' } });
  other = await startSignet({ database: service.database, env: { SIGNET_LOG_LEVEL: 'warn', SIGNET_KILL_CONFIRM_ABOVE: '0' } });
  inSteps = { admin: createClient({ url: other.urls.api, ca: other.rootPem, token: service.signet.adminToken }) };
}, 60_000);
afterAll(async () => {
  await other.stop();
  await service.close();
});

interface Kill {
  id: string;
  canResume: boolean;
}

const REASON = 'found in a public repository';
const ask = (at: Pick<Service, 'admin'>, selector: object, more: object = {}): Promise<Reply> => at.admin.send('POST', '/v1/kill', { json: { selector, reason: REASON, ...more } });

async function kill(at: Pick<Service, 'admin'>, selector: object, effect: string): Promise<Kill> {
  const { confirm } = jsonOf<{ confirm: string }>(ok(await ask(at, selector, { effect, dryRun: true })));
  return jsonOf<Kill>(ok(await ask(at, selector, { effect, confirm })));
}

/** Agents of one owner in every state, with certificates of every status, and what each id in their rows is called. */
interface World {
  owner: string;
  labels: Record<string, string>;
  main: string;
  identities: Record<'good' | 'twin' | 'held' | 'revoked' | 'quarantined' | 'ended' | 'killed' | 'suspended' | 'retired', Identity>;
  names: Map<string, string>;
}

let worlds = 0;
async function makeWorld(): Promise<World> {
  const n = ++worlds;
  const owner = `owner-${n}@example.com`;
  const labels = { world: String(n) };
  const register = () => service.register({ ownerEmail: owner, labels });
  const [main, suspended, retired] = [await register(), await register(), await register()];
  const identities = {
    good: await service.enrolled(main), twin: await service.enrolled(main), held: await service.enrolled(main), revoked: await service.enrolled(main), quarantined: await service.enrolled(main),
    ended: await service.enrolled(main), killed: await service.enrolled(main), suspended: await service.enrolled(suspended), retired: await service.enrolled(retired),
  };
  const proposed = jsonOf<{ id: string }>(ok(await service.admin.send('POST', '/v1/agents', { json: { name: `proposed-${n}`, purpose: 'testing', labels } }))).id;
  ok(await service.admin.send('PATCH', `/v1/agents/${proposed}`, { json: { ownerEmail: owner } }));
  await service.order(`/v1/certificates/${identities.held.serial}/hold`);
  await service.order(`/v1/certificates/${identities.revoked.serial}/revoke`, { reason: 'superseded' });
  await service.order(`/v1/instances/${identities.quarantined.instanceId}/quarantine`);
  const before = jsonOf<Kill>(await service.order('/v1/kill', { selector: { instanceId: identities.killed.instanceId }, reason: REASON }));
  await service.order(`/v1/agents/${suspended}/suspend`);
  await service.order(`/v1/agents/${retired}/retire`);
  await service.database.ownerDb.$executeRaw`UPDATE certificates SET not_after = now() - interval '1 second' WHERE serial = ${Buffer.from(identities.ended.serial, 'hex')}`;
  await service.database.ownerDb.$executeRaw`INSERT INTO findings (id, kind, agent_id, instance_id, created_at) VALUES (${`F${identities.good.serial.slice(-25)}`}, 'copied-key', ${main}, ${identities.good.instanceId}, now())`;
  const [ownerRow] = await rowsOf<{ id: string }>(service.database, 'SELECT id FROM owners WHERE email = $1', [owner]);
  const names = new Map<string, string>([[main, 'main'], [suspended, 'suspended'], [retired, 'retired'], [proposed, 'proposed'], [before.id, 'an earlier kill'], [ownerRow?.id ?? '', 'owner'], [`"world":"${n}"`, 'labels'], [`\\"world\\":\\"${n}\\"`, 'labels'], [`world\\\\\\":\\\\\\"${n}`, 'labels']]);
  for (const [name, { serial, instanceId }] of Object.entries(identities)) names.set(serial, `certificate ${name}`).set(instanceId, `instance ${name}`);
  return { owner, labels, main, identities, names };
}

/** Names instead of ids; the order of certificates among themselves is that of their random serials. */
function told(rows: readonly object[], { names }: World, kills: readonly Kill[]): string[] {
  let text = JSON.stringify(rows.map((row) => JSON.stringify(row)));
  for (const [id, name] of [...names, ...kills.map(({ id }, i): [string, string] => [id, `kill ${i}`])]) text = text.replaceAll(id, name);
  return JSON.parse(text) as string[];
}

/** All that a kill leaves behind. */
async function leftOf(world: World, kills: readonly Kill[]) {
  const { database } = service;
  const agents = [...world.names].filter(([, name]) => ['main', 'suspended', 'retired', 'proposed'].includes(name)).map(([id]) => id);
  const last = kills.map(({ id }) => id);
  const of = async (sql: string, values: unknown[]) => told(await rowsOf(database, sql, values), world, kills);
  const feed = await of(`SELECT kind, encode(serial, 'hex') AS serial, issuer_id, shard, agent_id, instance_id, reason, owner_id, stop, kill_id FROM feed_events WHERE kill_id = ANY ($1) ORDER BY n`, [last]);
  const audit = await of(
    `SELECT kind, outcome, actor_kind, actor_id, agent_id, instance_id, encode(serial, 'hex') AS serial, target, convert_from(event, 'UTF8')::jsonb - 'at' - 'id' - 'requestId' - 'personal' - 'credential' - 'source' - 'actor' AS event,
       (SELECT string_agg(field || '=' || value, ',' ORDER BY field) FROM audit_personal p WHERE p.event_id = e.id AND p.field <> 'sourceIp') AS personal
     FROM audit_events e WHERE target = ANY ($1) ORDER BY n`, [last]);
  const kindOf = (row: string): string => (JSON.parse(row) as { kind: string }).kind;
  return {
    feedOrder: feed.map(kindOf), feed: feed.toSorted(), auditOrder: audit.map(kindOf), audit: audit.toSorted(),
    kills: await of('SELECT selector, target, effect, reason, revocation_reason, state, owners, agents, instances, certificates, released, finished_at IS NULL AS open, resumed_at IS NULL AS unresumed FROM kills WHERE id = ANY ($1) ORDER BY id', [last]),
    agents: (await of('SELECT id, state, suspension_id IS NULL AS free, kill_ids, state_reason, version FROM agents WHERE id = ANY ($1)', [agents])).toSorted(),
    instances: (await of('SELECT id, state, quarantine_id IS NULL AS free, kill_ids, quarantine_reason FROM instances WHERE agent_id = ANY ($1)', [agents])).toSorted(),
    certificates: (await of(
      `SELECT encode(serial, 'hex') AS serial, revoked_at IS NULL AS unrevoked, revocation_reason, ARRAY(SELECT CASE WHEN cause LIKE 'kill:%' THEN cause ELSE split_part(cause, ':', 1) END FROM unnest(hold_causes) cause) AS causes, held_at IS NULL AS unheld,
         (SELECT k.blocked_at IS NULL FROM public_keys k WHERE k.key_hash = c.key_hash) AS unblocked FROM certificates c WHERE agent_id = ANY ($1)`, [agents])).toSorted(),
    owner: await of('SELECT state, kill_ids FROM owners WHERE email = $1', [world.owner]),
    findings: await of('SELECT resolved_at IS NULL AS open FROM findings WHERE agent_id = ANY ($1)', [agents]),
  };
}

describe('the same kill, at once and in steps', () => {
  const SELECTORS: Record<string, (world: World) => object> = {
    'a certificate': ({ identities }) => ({ serial: identities.good.serial }),
    'a certificate on hold': ({ identities }) => ({ serial: identities.held.serial }),
    'a certificate of a suspended agent': ({ identities }) => ({ serial: identities.suspended.serial }),
    'an instance': ({ identities }) => ({ instanceId: identities.good.instanceId }),
    'a quarantined instance': ({ identities }) => ({ instanceId: identities.quarantined.instanceId }),
    'an instance under another kill': ({ identities }) => ({ instanceId: identities.killed.instanceId }),
    'an instance whose certificate has ended': ({ identities }) => ({ instanceId: identities.ended.instanceId }),
    'an instance of a retired agent': ({ identities }) => ({ instanceId: identities.retired.instanceId }),
    'an agent': ({ main }) => ({ agentId: main }),
    'an owner': ({ owner }) => ({ owner }),
    labels: ({ labels }) => ({ labels }),
  };
  const cases = Object.entries(SELECTORS).flatMap(([name, selector]) => (/certificate$|certificate o|instance/.test(name) && !name.startsWith('an agent') ? ['suspend', 'revoke'] : ['suspend', 'revoke', 'retire']).map((effect) => ({ name, selector, effect })));

  test.each(cases)('$name, $effect', async ({ selector, effect }) => {
    const [one, two] = [await makeWorld(), await makeWorld()];
    const before = await leftOf(one, []);
    expect(await leftOf(two, [])).toEqual(before);
    const [atOnce, slowly] = [await kill(service, selector(one), effect), await kill(inSteps, selector(two), effect)];
    const left = await leftOf(one, [atOnce]);
    expect(await leftOf(two, [slowly])).toEqual(left);
    expect(left.feedOrder.length + left.auditOrder.length).toBeGreaterThan(1);
    if (!atOnce.canResume) return;
    ok(await inSteps.admin.send('POST', `/v1/kills/${atOnce.id}/resume`, { json: {} }));
    await service.order(`/v1/kills/${slowly.id}/resume`);
    const back = await leftOf(one, [atOnce]);
    expect(await leftOf(two, [slowly])).toEqual(back);
    if (effect !== 'suspend') return;
    const withoutVersion = (rows: string[]) => rows.map((row) => row.replace(/"version":\d+/, ''));
    expect({ ...back, agents: withoutVersion(back.agents) }).toMatchObject({ agents: withoutVersion(before.agents), instances: before.instances, certificates: before.certificates, owner: before.owner, findings: before.findings });
  });
});
