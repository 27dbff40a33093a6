import { expect, test } from '@jest/globals';
import type { KillRecord } from '../../../src/db/kills.ts';
import { auditOfStart, auditOfStep, coveredSince, feedOfStates, feedOfStep, finishedEvent, stopName } from '../../../src/revocation/kill-news.ts';

const AT = new Date('2026-11-21T12:00:00Z');
const KILL: KillRecord = {
  id: 'k', selector: 'owner', target: 'o', effect: 'suspend', reason: 'tested', revocationReason: null, state: 'running', actorKind: 'admin', actorId: 'someone', createdAt: AT, touchedAt: AT,
  owners: 1, agents: 2, instances: 0, certificates: 0, released: 0, position: null, finishedAt: null, resumedAt: null,
};
const HIT = { owners: [{ id: 'o', flipped: true }], agents: [{ id: 'a', flipped: true }, { id: 'b', flipped: false }], instances: [] };
const certificate = (octet: number, flipped: boolean) => ({ serial: Buffer.alloc(20, octet), issuerId: 'i', shard: 0, agentId: 'a', instanceId: 's', flipped });
const STEP = { changed: [certificate(1, true), certificate(2, false)], agents: [], instances: [] };

test('the feed is told of what is another state than before, the audit log of every cause', () => {
  expect(feedOfStates(KILL, HIT)).toEqual([{ kind: 'owner-suspended', ownerId: 'o', killId: 'k' }, { kind: 'agent-suspended', agentId: 'a', killId: 'k' }]);
  expect(auditOfStart(KILL, HIT).map(({ kind, detail }) => [kind, (detail as { status?: string }).status])).toEqual([
    ['kill.started', undefined], ['owner.suspended', undefined], ['agent.suspended', undefined], ['agent.suspended', 'as before, with one cause more'],
  ]);
});

test('retired agents and revoked instances carry the reason', () => {
  expect(feedOfStates({ ...KILL, effect: 'retire', revocationReason: 5 }, { ...HIT, owners: [] })).toEqual([{ kind: 'agent-retired', agentId: 'a', killId: 'k', reason: 5 }]);
  const revoked = feedOfStates({ ...KILL, effect: 'revoke', revocationReason: 1 }, { owners: [], agents: [], instances: [{ id: 's', agentId: 'a', flipped: true }] });
  expect(revoked).toEqual([{ kind: 'instance-revoked', agentId: 'a', instanceId: 's', killId: 'k', reason: 1 }]);
});

test.each([
  [{ effect: 'suspend', state: 'running' }, 'held'], [{ effect: 'revoke', state: 'running' }, 'revoked'], [{ effect: 'retire', state: 'running' }, 'revoked'], [{ effect: 'suspend', state: 'resuming' }, 'released'],
] as const)('certificates of a step of %p are %s', (of, kind) => {
  const kill = { ...KILL, ...of };
  expect(feedOfStep(kill, STEP).map((event) => event.kind)).toEqual([kind]);
  expect(auditOfStep(kill, STEP).map((event) => event.kind)).toEqual([`certificate.${kind}`, `certificate.${kind}`]);
});

test('a stop is named by what it stops', () => {
  expect([stopName({ kind: 'everything', target: '*' }), stopName({ kind: 'profile', target: 'agent' })]).toEqual(['everything', 'profile:agent']);
});

test('what is revoked is covered as long as it could be renewed after its end; what is suspended cannot be', () => {
  const ctx = { profiles: { longestGraceSeconds: 60 } } as Parameters<typeof coveredSince>[0];
  expect(coveredSince(ctx, { effect: 'suspend', createdAt: AT })).toEqual(AT);
  expect(coveredSince(ctx, { effect: 'revoke', createdAt: AT })).toEqual(new Date(AT.getTime() - 60_000));
});

test('the end says of what', () => {
  expect(finishedEvent(KILL, { certificates: 2 }).detail).toEqual({ of: 'suspend', certificates: 2 });
  expect(finishedEvent({ ...KILL, state: 'resuming' }, { released: 1 }).detail).toEqual({ of: 'resume', released: 1 });
});
