/** The kill switch: what each selector stops, what is confirmed, and what a resume takes back. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { expectWhole } from '../support/fault/judge.ts';
import { rowsOf } from '../support/fault/sessions.ts';
import { ok, outcome } from '../support/fault/fleet.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ env: { SIGNET_KILL_CONFIRM_ABOVE: '4' } });
}, 60_000);
/** One kill cannot be finished, and the job says so. */
afterAll(() => service.close(/"job":"finish-kills".*22003|22003.*"job":"finish-kills"/));

interface Kill {
  id: string;
  state: string;
  owners: number;
  agents: number;
  instances: number;
  certificates: number;
  released: number;
  canResume: boolean;
  revocationReason: string | null;
}
interface Preview extends Kill {
  confirm: string;
  needsConfirm: boolean;
  isExact: boolean;
  agentsHit: { id: string; state: string }[];
  certificatesHit: { serial: string; status: string }[];
}

const REASON = 'found in a public repository';
const ask = (selector: object, more: object = {}): Promise<Reply> => service.admin.send('POST', '/v1/kill', { json: { selector, reason: REASON, ...more } });
const kill = async (selector: object, more: object = {}): Promise<Kill> => jsonOf<Kill>(ok(await ask(selector, more)));
const dryRun = async (selector: object, more: object = {}): Promise<Preview> => jsonOf<Preview>(ok(await ask(selector, { ...more, dryRun: true })));
/** As somebody who looks first. */
const confirmed = async (selector: object, more: object = {}): Promise<Kill> => kill(selector, { ...more, confirm: (await dryRun(selector, more)).confirm });
const resume = async ({ id }: Pick<Kill, 'id'>): Promise<Kill> => jsonOf<Kill>(await service.order(`/v1/kills/${id}/resume`, { reason: 'a false alarm' }));
const statusOf = async ({ serial }: Pick<Identity, 'serial'>): Promise<string> => jsonOf<{ status: string }>(ok(await service.admin.send('GET', `/v1/status/${serial}`))).status;
const agentOf = async (id: string) => jsonOf<{ state: string; killIds: string[]; stateReason: string | null }>(ok(await service.admin.send('GET', `/v1/agents/${id}`)));
const stateOf = async (id: string): Promise<string> => (await agentOf(id)).state;
const instanceOf = async (id: string) => jsonOf<{ state: string; killIds: string[] }>(ok(await service.admin.send('GET', `/v1/instances/${id}`)));
const renewed = async (identity: Identity): Promise<string> => outcome(await service.renew(identity, makeKeyAndCsr().csr));
const feedOf = (killId: string) => rowsOf<{ kind: string; stop: string | null }>(service.database, 'SELECT kind, stop FROM feed_events WHERE kill_id = $1 ORDER BY n', [killId]);
const auditOf = (killId: string) => rowsOf<{ kind: string }>(service.database, 'SELECT kind FROM audit_events WHERE target = $1 ORDER BY n', [killId]);

describe('what each selector stops, and what comes back', () => {
  afterEach(() => expectWhole(service));

  test('serial, suspend: that certificate only', async () => {
    const [it, other] = [await service.enrolled(), await service.enrolled()];
    const done = await kill({ serial: it.serial });
    expect(done).toMatchObject({ state: 'done', certificates: 1, agents: 0, canResume: true });
    expect([await statusOf(it), await statusOf(other), await stateOf(it.agentId)]).toEqual(['held', 'good', 'active']);
    expect(await renewed(it)).toBe('client-certificate-held');
    expect(await resume(done)).toMatchObject({ state: 'resumed', released: 1, canResume: false });
    expect(await statusOf(it)).toBe('good');
    expect((await feedOf(done.id)).map(({ kind }) => kind)).toEqual(['held', 'released']);
    expect((await auditOf(done.id)).map(({ kind }) => kind)).toEqual(['kill.started', 'certificate.held', 'kill.finished', 'kill.resumed', 'certificate.released', 'kill.finished']);
  });

  test('serial, revoke: for ever', async () => {
    const it = await service.enrolled();
    const done = await kill({ serial: it.serial }, { effect: 'revoke', revocationReason: 'keyCompromise' });
    expect(done).toMatchObject({ certificates: 1, canResume: false, revocationReason: 'keyCompromise' });
    expect(await statusOf(it)).toBe('revoked');
    expect(outcome(await service.admin.send('POST', `/v1/kills/${done.id}/resume`, { json: {} }))).toBe('kill-state-conflict');
    expect(await kill({ serial: it.serial }, { effect: 'revoke' })).toMatchObject({ certificates: 0, state: 'done' });
  });

  test('instance: quarantined, beside its own quarantine; the other instance goes on', async () => {
    const first = await service.enrolled();
    const second = await service.enrolled(first.agentId);
    const done = await kill({ instanceId: first.instanceId });
    expect(done).toMatchObject({ instances: 1, certificates: 1 });
    expect(await instanceOf(first.instanceId)).toMatchObject({ state: 'quarantined', killIds: [done.id] });
    expect([await renewed(first), await statusOf(second)]).toEqual(['instance-quarantined', 'good']);
    expect(outcome(await service.admin.send('POST', `/v1/instances/${first.instanceId}/release`, { json: {} }))).toBe('covered-by-kill');
    await service.order(`/v1/instances/${first.instanceId}/quarantine`);
    await resume(done);
    expect([(await instanceOf(first.instanceId)).state, await statusOf(first)]).toEqual(['quarantined', 'held']);
    await service.order(`/v1/instances/${first.instanceId}/release`);
    expect([(await instanceOf(first.instanceId)).state, await statusOf(first)]).toEqual(['active', 'good']);
  });

  test('instance, revoke', async () => {
    const it = await service.enrolled();
    expect(await kill({ instanceId: it.instanceId }, { effect: 'revoke' })).toMatchObject({ instances: 1, certificates: 1, canResume: false });
    expect([(await instanceOf(it.instanceId)).state, await statusOf(it)]).toEqual(['revoked', 'revoked']);
    expect(outcome(await ask({ instanceId: it.instanceId }))).toBe('instance-state-conflict');
  });

  test.each([['at once', {}], ['in steps', { renewWithinSeconds: 0 }]])('instance, revoke, %s: its findings are closed', async (_how, more) => {
    const it = await service.enrolled();
    const { ownerDb } = service.database;
    await ownerDb.$executeRaw`INSERT INTO findings (id, kind, agent_id, instance_id, created_at) VALUES (${`F${it.serial.slice(-25)}`}, 'copied-key', ${it.agentId}, ${it.instanceId}, now())`;
    await kill({ instanceId: it.instanceId }, { effect: 'revoke', ...more });
    expect(await rowsOf(service.database, 'SELECT resolved_at IS NOT NULL AS closed FROM findings WHERE instance_id = $1', [it.instanceId])).toEqual([{ closed: true }]);
  });

  test('a copied key that shows while only a kill quarantines: the finding is raised, and the resume of the kill does not end the quarantine', async () => {
    const stolen = await service.enrolled();
    const pair = makeKeyAndCsr();
    const { certificate, chain, ...said } = jsonOf<Identity & { certificate: string }>(ok(await service.renew(stolen, pair.csr)));
    const owners = { ...said, chain: certificate + chain, key: pair.key };
    // The successor is used: from now on the old one in use means two holders of a key.
    expect(await renewed(owners)).toMatch(/^[0-9a-f]{40}$/);
    const done = await kill({ instanceId: stolen.instanceId });
    // The lost answer asked for again shows no copied key.
    expect(outcome(await service.renew(stolen, pair.csr))).toBe('instance-quarantined');
    const found = () => rowsOf<{ kind: string }>(service.database, 'SELECT kind FROM findings WHERE instance_id = $1', [stolen.instanceId]);
    expect(await found()).toEqual([]);
    expect(await renewed(stolen)).toBe('instance-quarantined');
    expect(await renewed(stolen)).toBe('instance-quarantined');
    expect(await found()).toEqual([{ kind: 'copied-key' }]);
    await resume(done);
    expect((await instanceOf(stolen.instanceId)).state).toBe('quarantined');
  });

  test('agent: two kills and an operator; each takes only its own back', async () => {
    const it = await service.enrolled();
    const token = await service.joinToken(it.agentId);
    const first = await kill({ agentId: it.agentId });
    const second = await kill({ agentId: it.agentId });
    await service.order(`/v1/agents/${it.agentId}/suspend`);
    expect(await agentOf(it.agentId)).toMatchObject({ state: 'suspended', killIds: [first.id, second.id], stateReason: REASON });
    expect(outcome(await service.enroll(token, makeKeyAndCsr().csr))).toBe('agent-suspended');

    await service.order(`/v1/agents/${it.agentId}/resume`);
    expect(await stateOf(it.agentId)).toBe('suspended');
    expect(outcome(await service.admin.send('POST', `/v1/agents/${it.agentId}/resume`, { json: {} }))).toBe('covered-by-kill');
    expect(await resume(first)).toMatchObject({ released: 0 });
    expect([await stateOf(it.agentId), await statusOf(it)]).toEqual(['suspended', 'held']);
    expect(await resume(second)).toMatchObject({ released: 1 });
    expect([await stateOf(it.agentId), await statusOf(it)]).toEqual(['active', 'good']);
    expect(await resume(second)).toMatchObject({ state: 'resumed', released: 1 });
    expect(outcome(await service.enroll(token, makeKeyAndCsr().csr))).toMatch(/^[0-9a-f]{40}$/);
  });

  test('agent, revoke: suspended and revoked; after the resume it may enroll anew', async () => {
    const it = await service.enrolled();
    const done = await kill({ agentId: it.agentId }, { effect: 'revoke' });
    expect(done).toMatchObject({ agents: 1, certificates: 1, canResume: true });
    expect([await stateOf(it.agentId), await statusOf(it)]).toEqual(['suspended', 'revoked']);
    await resume(done);
    expect([await stateOf(it.agentId), await statusOf(it)]).toEqual(['active', 'revoked']);
    expect(await statusOf(await service.enrolled(it.agentId))).toBe('good');
  });

  test('owner: the agents, those that are only proposed, and registrations from now on', async () => {
    const ownerEmail = 'mallory@example.com';
    const it = await service.enrolled(await service.register({ ownerEmail }));
    const proposed = jsonOf<{ id: string }>(ok(await service.admin.send('POST', '/v1/agents', { json: { name: 'owner-proposed', purpose: 'testing' } }))).id;
    ok(await service.admin.send('PATCH', `/v1/agents/${proposed}`, { json: { ownerEmail } }));
    const done = await kill({ owner: 'Mallory@example.com' });
    expect(done).toMatchObject({ selector: { owner: ownerEmail }, owners: 1, agents: 2, certificates: 1 });
    expect([await stateOf(it.agentId), await stateOf(proposed), await statusOf(it)]).toEqual(['suspended', 'proposed', 'held']);
    expect(outcome(await service.admin.send('POST', `/v1/agents/${proposed}/activate`, { json: {} }))).toBe('covered-by-kill');
    const registration = { name: 'owner-late', purpose: 'testing', ownerEmail };
    expect(outcome(await service.admin.send('POST', '/v1/agents', { json: registration }))).toBe('owner-suspended');
    await resume(done);
    expect([await stateOf(it.agentId), await stateOf(proposed), await statusOf(it)]).toEqual(['active', 'proposed', 'good']);
    expect((await service.admin.send('POST', '/v1/agents', { json: registration })).status).toBe(201);
    expect((await feedOf(done.id)).map(({ kind }) => kind)).toEqual(['owner-suspended', 'agent-suspended', 'held', 'owner-resumed', 'agent-resumed', 'released']);
  });

  test('labels, retire: for ever, and only those with all of the labels', async () => {
    const labels = { team: 'retired', tier: 'one' };
    const it = await service.enrolled(await service.register({ labels }));
    const other = await service.enrolled(await service.register({ labels: { team: 'retired' } }));
    const done = await kill({ labels }, { effect: 'retire' });
    expect(done).toMatchObject({ agents: 1, certificates: 1, canResume: false, revocationReason: 'cessationOfOperation' });
    expect([await stateOf(it.agentId), await statusOf(it), await statusOf(other)]).toEqual(['retired', 'revoked', 'good']);
    expect(outcome(await ask({ agentId: it.agentId }))).toBe('agent-retired');
  });

  test('profile: nothing is issued under it, other profiles go on', async () => {
    const it = await service.enrolled(await service.register({ profile: 'service' }));
    const token = await service.joinToken(it.agentId);
    const other = await service.enrolled();
    const done = await kill({ profile: 'service' });
    expect([await statusOf(it), await statusOf(other), await stateOf(it.agentId)]).toEqual(['held', 'good', 'active']);
    expect(outcome(await service.enroll(token, makeKeyAndCsr().csr))).toBe('issuance-stopped');
    expect((await feedOf(done.id))[0]).toEqual({ kind: 'issuance-stopped', stop: 'profile:service' });
    await resume(done);
    expect([await statusOf(it), outcome(await service.enroll(token, makeKeyAndCsr().csr))]).toEqual(['good', expect.stringMatching(/^[0-9a-f]{40}$/)]);
  });

  test('issuer: what it issued is held, and it issues nothing', async () => {
    const it = await service.enrolled();
    const { items } = jsonOf<{ items: { id: string; kind: string; state: string }[] }>(ok(await service.admin.send('GET', '/v1/authorities')));
    const issuerId = items.find(({ kind, state }) => kind === 'issuing' && state === 'active')?.id ?? '';
    const token = await service.joinToken(await service.register());
    const done = await confirmed({ issuerId });
    expect([await statusOf(it), outcome(await service.enroll(token, makeKeyAndCsr().csr))]).toEqual(['held', 'issuance-stopped']);
    await resume(done);
    expect([await statusOf(it), outcome(await service.enroll(token, makeKeyAndCsr().csr))]).toEqual(['good', expect.stringMatching(/^[0-9a-f]{40}$/)]);
  });

  test('everything: registration, join tokens, enrollment and renewal are refused and say why; reading and revoking go on; what was on hold stays so', async () => {
    const [it, held, revoked] = [await service.enrolled(), await service.enrolled(), await service.enrolled()];
    const agentId = await service.register();
    const token = await service.joinToken(agentId);
    await service.order(`/v1/certificates/${held.serial}/hold`);
    expect(outcome(await ask({ everything: true }))).toBe('kill-confirmation-required');
    const done = await confirmed({ everything: true });
    const second = await confirmed({ everything: true });
    const refused = await service.admin.send('POST', '/v1/agents', { json: { name: 'too-late', purpose: 'testing', ownerEmail: 'owner@example.com' } });
    expect(jsonOf<{ code: string; detail: string }>(refused)).toMatchObject({ code: 'issuance-stopped', detail: expect.stringContaining(`kill:${done.id}`) });
    expect(outcome(await service.admin.send('POST', `/v1/agents/${agentId}/join-tokens`, { json: {} }))).toBe('issuance-stopped');
    expect([outcome(await service.enroll(token, makeKeyAndCsr().csr)), await renewed(it)]).toEqual(['issuance-stopped', 'issuance-stopped']);
    await service.order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'keyCompromise' });
    expect([await statusOf(it), await statusOf(held), await statusOf(revoked)]).toEqual(['held', 'held', 'revoked']);

    await resume(done);
    expect([await statusOf(it), outcome(await service.enroll(token, makeKeyAndCsr().csr))]).toEqual(['held', 'issuance-stopped']);
    await resume(second);
    expect([await statusOf(it), await statusOf(held), await statusOf(revoked)]).toEqual(['good', 'held', 'revoked']);
    expect(outcome(await service.enroll(token, makeKeyAndCsr().csr))).toMatch(/^[0-9a-f]{40}$/);
    expect(await renewed(it)).toMatch(/^[0-9a-f]{40}$/);
    expect((await feedOf(second.id)).at(-1)).toBeDefined();
    expect((await feedOf(done.id)).filter(({ kind }) => kind.startsWith('issuance'))).toEqual([{ kind: 'issuance-stopped', stop: 'everything' }]);
    expect((await feedOf(second.id)).filter(({ kind }) => kind.startsWith('issuance'))).toEqual([{ kind: 'issuance-stopped', stop: 'everything' }, { kind: 'issuance-resumed', stop: 'everything' }]);
  });
});

describe('what is refused', () => {
  test.each([
    ['nothing', {}, 'selector-invalid'],
    ['no labels', { labels: {} }, 'selector-invalid'],
    ['two members', { everything: true, profile: 'agent' }, 'selector-invalid'],
    ['everything: false', { everything: false }, 'invalid-request'],
    ['a member that is not known', { all: true }, 'invalid-request'],
    ['an empty owner', { owner: '' }, 'invalid-request'],
    ['a null', { agentId: null }, 'invalid-request'],
    ['an array', [], 'invalid-request'],
    ['a malformed serial', { serial: 'xyz' }, 'serial-malformed'],
    ['an unknown serial', { serial: '01'.repeat(20) }, 'certificate-not-found'],
    ['an unknown instance', { instanceId: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }, 'instance-not-found'],
    ['an unknown agent', { agentId: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }, 'agent-not-found'],
    ['an unknown owner', { owner: 'nobody@example.com' }, 'owner-not-found'],
    ['an unknown issuer', { issuerId: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }, 'authority-not-found'],
    ['an unknown profile', { profile: 'no-such-profile' }, 'profile-not-found'],
  ])('%s', async (_name, selector, code) => {
    const before = await rowsOf(service.database, 'SELECT id FROM kills');
    expect(outcome(await ask(selector, { effect: 'revoke' }))).toBe(code);
    expect(outcome(await ask(selector, { effect: 'revoke', dryRun: true }))).toBe(code);
    expect(await rowsOf(service.database, 'SELECT id FROM kills')).toEqual(before);
  });

  test.each([[{ everything: true }, 'retire'], [{ profile: 'agent' }, 'retire'], [{ profile: 'agent' }, 'delete']])('%p: %s', async (selector, effect) => {
    expect(outcome(await ask(selector, { effect }))).toBe(effect === 'delete' ? 'invalid-request' : 'kill-effect-not-allowed');
  });

  test('a kill without a reason, or with one that is not for leaves', async () => {
    expect(outcome(await service.admin.send('POST', '/v1/kill', { json: { selector: { profile: 'agent' } } }))).toBe('invalid-request');
    expect(outcome(await ask({ profile: 'agent' }, { effect: 'revoke', revocationReason: 'cACompromise' }))).toBe('reason-not-allowed');
  });

  test.each([{}, { dryRun: true }])('a reason of revocation for a suspension, which has none: %p', async (more) => {
    const { agentId } = await service.enrolled();
    expect(outcome(await ask({ agentId }, { effect: 'suspend', revocationReason: 'keyCompromise', ...more }))).toBe('reason-not-allowed');
    expect(await stateOf(agentId)).toBe('active');
  });

  test('the certificates of issuer and responder, by a kill or by themselves', async () => {
    const rows = await rowsOf<{ kind: string; serial: string }>(service.database, `SELECT kind, encode(serial, 'hex') AS serial FROM authority_certificates WHERE kind IN ('issuing', 'ocsp', 'root', 'tls', 'feed')`);
    expect(rows.length).toBeGreaterThanOrEqual(5);
    for (const { serial } of rows) {
      expect(outcome(await ask({ serial }, { effect: 'revoke' }))).toBe('authority-state-conflict');
      expect(outcome(await service.admin.send('POST', `/v1/certificates/${serial}/revoke`, { json: {} }))).toBe('authority-state-conflict');
      expect(outcome(await service.admin.send('POST', `/v1/certificates/${serial}/hold`))).toBe('authority-state-conflict');
    }
  });

  test('an expired certificate: there is nothing to suspend; it may be revoked', async () => {
    const it = await service.enrolled();
    await service.database.ownerDb.$executeRaw`UPDATE certificates SET not_after = now() - interval '1 second' WHERE serial = ${Buffer.from(it.serial, 'hex')}`;
    expect(outcome(await ask({ serial: it.serial }))).toBe('certificate-expired');
    expect(await kill({ serial: it.serial }, { effect: 'revoke' })).toMatchObject({ certificates: 1 });
    expect(outcome(await ask({ serial: it.serial }))).toBe('hold-conflict');
  });

  test('kills that are not there', async () => {
    expect(outcome(await service.admin.send('GET', '/v1/kills/01KAMV3W5QZ3C1D6X2G7R8S9TZ'))).toBe('kill-not-found');
    expect(outcome(await service.admin.send('POST', '/v1/kills/01KAMV3W5QZ3C1D6X2G7R8S9TZ/resume', { json: {} }))).toBe('kill-not-found');
  });
});

describe('the second confirmation', () => {
  const labels = { team: 'many' };
  let identities: Identity[];
  beforeAll(async () => {
    identities = await Promise.all([1, 2, 3].map(async () => service.enrolled(await service.register({ labels }))));
  });

  test('a dry run changes nothing and says what would be hit', async () => {
    // Jobs go on, and record what they do.
    const changes = `SELECT (SELECT value FROM counters WHERE name = 'feed') AS feed, (SELECT count(*) FROM audit_events WHERE actor_kind = 'admin') AS audit, (SELECT count(*) FROM kills) AS kills`;
    const before = await rowsOf(service.database, changes);
    const preview = await dryRun({ labels });
    expect(preview).toMatchObject({ owners: 0, agents: 3, certificates: 3, isExact: true, needsConfirm: true });
    expect(preview.agentsHit.map(({ id }) => id).toSorted()).toEqual(identities.map(({ agentId }) => agentId).toSorted());
    expect(preview.certificatesHit.map(({ serial }) => serial).toSorted()).toEqual(identities.map(({ serial }) => serial).toSorted());
    expect(await rowsOf(service.database, changes)).toEqual(before);
    expect((await dryRun({ agentId: identities[0]?.agentId })).needsConfirm).toBe(false);
  });

  test('what confirms is bound to selector, effect and caller, to what was seen, and to minutes', async () => {
    const { confirm } = await dryRun({ labels });
    const refused = async (selector: object, more: object) => expect(outcome(await ask(selector, more))).toBe('kill-confirmation-required');
    await refused({ labels }, {});
    await refused({ labels }, { confirm: 'yes' });
    await refused({ labels }, { confirm: `${confirm.slice(0, -2)}AA` });
    await refused({ labels }, { confirm, effect: 'retire' });
    await refused({ everything: true }, { confirm });
    const { token } = jsonOf<{ token: string }>(await service.order('/v1/admin-tokens', { name: 'another', role: 'admin' }));
    const other = await service.admin.send('POST', '/v1/kill', { json: { selector: { labels }, reason: REASON, confirm }, headers: { authorization: `Bearer ${token}` } });
    expect(outcome(other)).toBe('kill-confirmation-required');

    expect(await kill({ labels }, { confirm })).toMatchObject({ agents: 3, certificates: 3 });
    expect(await Promise.all(identities.map(statusOf))).toEqual(['held', 'held', 'held']);
  });

  test('only admins kill; operators and auditors see it', async () => {
    for (const role of ['operator', 'auditor']) {
      const { token } = jsonOf<{ token: string }>(await service.order('/v1/admin-tokens', { name: role, role }));
      const as = { headers: { authorization: `Bearer ${token}` } };
      const { items } = jsonOf<{ items: Kill[] }>(ok(await service.admin.send('GET', '/v1/kills?limit=200', as)));
      expect(items.length).toBeGreaterThan(0);
      expect((await service.admin.send('POST', '/v1/kill', { ...as, json: { selector: { labels }, reason: REASON, dryRun: true } })).status).toBe(403);
      expect((await service.admin.send('POST', `/v1/kills/${items[0]?.id}/resume`, { ...as, json: {} })).status).toBe(403);
    }
  });
});

test.each([['', '-1 minute'], [', whose clock was ahead,', '10 minutes']])('a kill%s that nobody finishes is finished by the job; two who finish it do it once', async (_who, touched) => {
  const it = await service.enrolled();
  const done = await kill({ agentId: it.agentId });
  // As if whoever began it had died before its first step.
  await service.database.ownerDb.$executeRaw`UPDATE certificates SET held_at = NULL, hold_causes = '{}' WHERE serial = ${Buffer.from(it.serial, 'hex')}`;
  await service.database.ownerDb.$executeRaw`UPDATE kills SET state = 'running', certificates = 1, finished_at = NULL, position = NULL, touched_at = now() + ${touched}::interval WHERE id = ${done.id}`;
  const seen = async () => jsonOf<Kill>(ok(await service.admin.send('GET', `/v1/kills/${done.id}`))).state;
  for (const deadline = performance.now() + 20_000; performance.now() < deadline && (await seen()) !== 'done'; ) await new Promise((resolve) => setTimeout(resolve, 200));
  expect([await seen(), await statusOf(it)]).toEqual(['done', 'held']);
}, 30_000);

test('a kill that cannot be finished does not keep the job from the others', async () => {
  const it = await service.enrolled();
  const done = await kill({ agentId: it.agentId });
  const { ownerDb } = service.database;
  await ownerDb.$executeRaw`INSERT INTO kills (id, selector, target, effect, reason, state, position, actor_kind, actor_id, created_at, touched_at)
    VALUES ('broken', 'profile', 'agent', 'suspend', 'tested', 'running', '99999999999:00', 'admin', 'tested', now(), now() - interval '1 hour')`;
  await ownerDb.$executeRaw`UPDATE kills SET state = 'running', finished_at = NULL, touched_at = now() - interval '1 minute' WHERE id = ${done.id}`;
  const states = async () => (await rowsOf<{ state: string }>(service.database, `SELECT state FROM kills WHERE id IN ('broken', $1) ORDER BY created_at`, [done.id])).map(({ state }) => state);
  for (const deadline = performance.now() + 20_000; performance.now() < deadline && (await states())[0] !== 'done'; ) await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await states()).toEqual(['done', 'running']);
  await ownerDb.$executeRaw`DELETE FROM kills WHERE id = 'broken'`;
}, 30_000);

test('a kill of what another has retired and not finished: it answers when that is done', async () => {
  const it = await service.enrolled();
  const first = await kill({ agentId: it.agentId }, { effect: 'retire' });
  // As if whoever began it had died before its first step, a moment ago.
  await service.database.ownerDb.$executeRaw`UPDATE certificates SET revoked_at = NULL, revocation_reason = NULL WHERE serial = ${Buffer.from(it.serial, 'hex')}`;
  await service.database.ownerDb.$executeRaw`UPDATE kills SET state = 'running', certificates = 1, finished_at = NULL, position = NULL, touched_at = now() WHERE id = ${first.id}`;
  expect(await kill({ agentId: it.agentId }, { effect: 'retire' })).toMatchObject({ state: 'done', agents: 0 });
  expect([await statusOf(it), jsonOf<Kill>(ok(await service.admin.send('GET', `/v1/kills/${first.id}`))).state]).toEqual(['revoked', 'done']);
});

test('a profile that is neither configured nor registered any more can be selected while a certificate of it lives', async () => {
  const it = await service.enrolled();
  const { ownerDb } = service.database;
  await ownerDb.$executeRaw`UPDATE certificates SET profile = 'of-old' WHERE serial = ${Buffer.from(it.serial, 'hex')}`;
  const done = await confirmed({ profile: 'of-old' });
  expect([done.certificates, await statusOf(it)]).toEqual([1, 'held']);
  await resume(done);
});

test('renewal windows that a kill has moved are spread from its resume on', async () => {
  const it = await service.enrolled();
  const done = await kill({ agentId: it.agentId }, { renewWithinSeconds: 600 });
  const began = () => rowsOf<{ created: Date; left: number }>(service.database, 'SELECT created_at AS created, extract(epoch FROM expires_at - created_at)::int AS left FROM renewal_steers WHERE target = $1', [it.agentId]);
  // The kill was an hour ago.
  await service.database.ownerDb.$executeRaw`UPDATE renewal_steers SET created_at = created_at - interval '1 hour', expires_at = expires_at - interval '1 hour' WHERE target = ${it.agentId}`;
  await service.database.ownerDb.$executeRaw`UPDATE kills SET created_at = created_at - interval '1 hour' WHERE id = ${done.id}`;
  const [before] = await began();
  await resume(done);
  const [after] = await began();
  expect(Number(after?.created) - Number(before?.created)).toBeGreaterThanOrEqual(3_600_000);
  expect(after?.left).toBe(before?.left);
});

test('a stop in force is a warning of /readyz and a metric', async () => {
  const done = await kill({ profile: 'ephemeral' });
  const { warnings } = jsonOf<{ warnings: string[] }>(await createClient({ url: service.signet.urls.operations }).send('GET', '/readyz'));
  expect(warnings).toEqual(expect.arrayContaining([expect.stringContaining(`kill:${done.id}`)]));
  await resume(done);
});

test('in the end nothing is half there', () => expectWhole(service));
