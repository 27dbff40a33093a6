import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type { AuditEvent } from '../../../src/audit/events.ts';
import { SignetError, type ErrorCode } from '../../../src/core/errors.ts';
import { createDenials } from '../../../src/http/denials.ts';
import { NOW, skeletonContext } from './serving.ts';

const origin = { actor: { kind: 'admin', id: 'A' }, requestId: 'R', source: '192.0.2.1' } as const;

function recorder() {
  const events: AuditEvent[] = [];
  const clock = { nowMs: 0 };
  const ctx = skeletonContext({ clock: { now: () => NOW, monotonicMs: () => clock.nowMs } });
  const denials = createDenials(ctx, {
    write: (by, at, event) => {
      expect([by, at]).toEqual([origin, NOW]);
      events.push(event);
      return Promise.resolve();
    },
    whoHolds: () => Promise.resolve(undefined),
  });
  const note = (code: ErrorCode) => denials.note(new SignetError(code, ''), origin, 'getAgent', NOW);
  return { events, clock, note, settled: () => denials.settled() };
}

test('refused credentials and permissions are recorded, other errors and knocks without a credential are not', async () => {
  const { events, note, settled } = recorder();
  for (const code of ['permission-denied', 'invalid-credential', 'client-certificate-revoked', 'invalid-request', 'agent-not-found', 'authentication-required', 'client-certificate-required', 'internal'] as const) note(code);
  await settled();
  expect(events.map((event) => event.detail)).toEqual([{ code: 'permission-denied' }, { code: 'invalid-credential' }, { code: 'client-certificate-revoked' }]);
});

test('what a stranger can write is bounded; what was left out is told by the next event', async () => {
  const { events, note, clock, settled } = recorder();
  for (let i = 0; i < 1000; i++) note('invalid-credential');
  await settled();
  expect(events).toHaveLength(600);
  clock.nowMs = 60_000;
  note('invalid-credential');
  await settled();
  expect(events).toHaveLength(601);
  expect(events[600]).toEqual({ kind: 'request.denied', outcome: 'failure', target: 'getAgent', detail: { code: 'invalid-credential', suppressed: 400 } });
});

test('what could not be written is told by the next event, too', async () => {
  const events: AuditEvent[] = [];
  let isAway = true;
  const denials = createDenials(skeletonContext(), { write: (_by, _at, event) => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(void events.push(event))), whoHolds: () => Promise.resolve(undefined) });
  const note = () => denials.note(new SignetError('invalid-credential', ''), origin, 'getAgent', NOW);
  note();
  await denials.settled();
  note();
  await denials.settled();
  isAway = false;
  note();
  await denials.settled();
  expect(events.map(({ detail }) => detail)).toEqual([{ code: 'invalid-credential', suppressed: 2 }]);
});

test.each([
  ['nobody known', undefined, origin.actor, {}],
  ['an agent', { agentId: 'AGENT', instanceId: 'INSTANCE' }, { kind: 'agent', id: 'AGENT' }, { agentId: 'AGENT', instanceId: 'INSTANCE' }],
  ['a relying party', { relyingPartyId: 'PARTY' }, { kind: 'relying-party', id: 'PARTY' }, {}],
])('a refused client certificate is told by its hash, and under its holder: %s', async (_, holder, actor, members) => {
  const written: unknown[] = [];
  const der = Buffer.from('a certificate');
  const denials = createDenials(skeletonContext(), {
    write: (by, _at, event) => Promise.resolve(void written.push([by, event])),
    whoHolds: (shown) => Promise.resolve(shown.equals(der) ? holder : undefined),
  });
  denials.note(new SignetError('client-certificate-revoked', ''), origin, 'renewCertificate', NOW, der);
  await denials.settled();
  const event = { kind: 'request.denied', outcome: 'failure', target: 'renewCertificate', fingerprint: createHash('sha256').update(der).digest(), detail: { code: 'client-certificate-revoked' } };
  expect(written).toEqual([[{ ...origin, actor }, { ...event, ...members }]]);
});
