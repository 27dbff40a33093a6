import { expect, test } from '@jest/globals';
import type { FeedEventAnswer, FeedKind } from '../../../../src/api/feed.ts';
import { createStatusView, type StatusView } from '../../../../src/client/feed/view.ts';

const SERIAL = `01005129${'ab'.repeat(16)}`;
const [AGENT, INSTANCE, OWNER] = ['A', 'B', 'C'].map((letter) => letter.repeat(26)) as [string, string, string];
let n = 0;
const apply = (view: StatusView, kind: FeedKind, about: Partial<FeedEventAnswer> = {}) => view.apply({ n: ++n, kind, at: '2026-11-21T00:00:00.000Z', ...about });

test('certificates: held and released come and go, revoked is for ever', () => {
  const view = createStatusView();
  expect(view.judge({ serial: SERIAL })).toBeUndefined();
  apply(view, 'held', { serial: SERIAL });
  expect(view.judge({ serial: SERIAL.toUpperCase().replaceAll(/(..)(?=.)/g, '$1:') })).toBe('held');
  apply(view, 'released', { serial: SERIAL });
  expect(view.judge({ serial: SERIAL })).toBeUndefined();
  apply(view, 'revoked', { serial: SERIAL });
  apply(view, 'held', { serial: SERIAL });
  apply(view, 'released', { serial: SERIAL });
  expect(view.judge({ serial: SERIAL })).toBe('revoked');
});

test('agents, instances and owners: what ended for good stays ended', () => {
  const view = createStatusView();
  apply(view, 'agent-suspended', { agentId: AGENT });
  expect(view.judge({ serial: SERIAL, agentId: AGENT })).toBe('agent-suspended');
  apply(view, 'agent-resumed', { agentId: AGENT });
  expect(view.judge({ agentId: AGENT })).toBeUndefined();
  apply(view, 'agent-retired', { agentId: AGENT });
  apply(view, 'agent-resumed', { agentId: AGENT });
  expect(view.judge({ agentId: AGENT })).toBe('agent-retired');
  apply(view, 'instance-quarantined', { instanceId: INSTANCE });
  expect(view.judge({ instanceId: INSTANCE })).toBe('instance-quarantined');
  apply(view, 'instance-released', { instanceId: INSTANCE });
  expect(view.judge({ instanceId: INSTANCE })).toBeUndefined();
  apply(view, 'instance-revoked', { instanceId: INSTANCE });
  apply(view, 'instance-released', { instanceId: INSTANCE });
  expect(view.judge({ instanceId: INSTANCE })).toBe('instance-revoked');
  apply(view, 'owner-suspended', { ownerId: OWNER });
  expect(view.judge({ ownerId: OWNER })).toBe('owner-suspended');
  apply(view, 'owner-resumed', { ownerId: OWNER });
  expect(view.judge({ ownerId: OWNER })).toBeUndefined();
});

test('stops of issuance are told, and say nothing against what was issued; events without a name change nothing', () => {
  const view = createStatusView();
  apply(view, 'issuance-stopped', { stop: 'everything' });
  expect([view.stops(), view.judge({ serial: SERIAL })]).toEqual([['everything'], undefined]);
  apply(view, 'issuance-resumed', { stop: 'everything' });
  for (const kind of ['agent-suspended', 'owner-suspended', 'instance-revoked'] as const) apply(view, kind);
  expect([view.stops(), view.size()]).toEqual([[], 0]);
});

test('certificates that ended are forgotten by the day in their serial', () => {
  const view = createStatusView();
  apply(view, 'revoked', { serial: SERIAL });
  view.forgetEnded(0x005129);
  expect(view.size()).toBe(1);
  view.forgetEnded(0x00512a);
  expect(view.size()).toBe(0);
});
