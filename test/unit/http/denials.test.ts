import { expect, test } from '@jest/globals';
import type { Context } from '../../../src/context.ts';
import { SignetError, type ErrorCode } from '../../../src/core/errors.ts';
import { createDenials } from '../../../src/http/denials.ts';
import { NOW, skeletonContext } from './serving.ts';

const origin = { actor: { kind: 'admin', id: 'A' }, requestId: 'R', source: '192.0.2.1' } as const;

function recorder() {
  const events: string[] = [];
  const clock = { nowMs: 0 };
  const tx = { $executeRaw: (_: TemplateStringsArray, ...values: unknown[]) => Promise.resolve(void events.push(JSON.stringify(values, (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value)))) };
  const db = { $transaction: (work: (t: typeof tx) => Promise<unknown>) => work(tx) } as unknown as Context['db'];
  const denials = createDenials(skeletonContext({ db, clock: { now: () => NOW, monotonicMs: () => clock.nowMs } }));
  const note = (code: ErrorCode) => denials.note(new SignetError(code, ''), origin, 'getAgent', NOW);
  return { events, clock, note, settled: () => denials.settled() };
}

test('refused credentials and permissions are recorded, other errors and knocks without a credential are not', async () => {
  const { events, note, settled } = recorder();
  for (const code of ['permission-denied', 'invalid-credential', 'client-certificate-revoked', 'invalid-request', 'agent-not-found', 'authentication-required', 'client-certificate-required', 'internal'] as const) note(code);
  await settled();
  expect(events.map((event) => /\\"code\\":\\"([a-z-]+)/.exec(event)?.[1])).toEqual(['permission-denied', 'invalid-credential', 'client-certificate-revoked']);
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
  expect(events[600]).toContain('\\"suppressed\\":400');
});
