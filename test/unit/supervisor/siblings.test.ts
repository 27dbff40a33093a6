/** Relay and siblings together, without processes: messages are handed over in the order they were sent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import type { ToWorker } from '../../../src/supervisor/messages.ts';
import { createRelay, type Relay, type SiblingMessage } from '../../../src/supervisor/relay.ts';
import { createSiblings, type Relayed, type RelayedSiblings } from '../../../src/supervisor/siblings.ts';

const LONG_MS = 20_000;

/** A worker behind a relay. `mute`: what is sent to it does not arrive. */
function join(relay: Relay, number: number, { mute = false } = {}): RelayedSiblings {
  const siblings: RelayedSiblings = createSiblings({ number, workers: 3 }, (message) => queueMicrotask(() => relay.heard(number, message as SiblingMessage)));
  relay.join(number, (message: ToWorker) => {
    if (!mute) queueMicrotask(() => siblings.heard(structuredClone(message) as Relayed));
  });
  return siblings;
}

test('everyone else with a handler is asked, and all their answers come back; who asks is not asked', async () => {
  const relay = createRelay();
  const [a, b, c] = [join(relay, 1), join(relay, 2), join(relay, 3)];
  for (const one of [a, b, c]) one.on('metrics', (message) => ({ of: one.number, message }));
  await sleep(0);
  expect(await a.ask('metrics', { since: new Date(0) }, LONG_MS)).toEqual([{ of: 2, message: { since: new Date(0) } }, { of: 3, message: { since: new Date(0) } }]);
  expect(await c.ask('readiness', undefined, LONG_MS)).toEqual([]);
});

test('a handler may take its time; one that fails gives no answer and is not waited for', async () => {
  const relay = createRelay();
  const [a, b, c] = [join(relay, 1), join(relay, 2), join(relay, 3)];
  b.on('metrics', () => sleep(5, 'slow'));
  c.on('metrics', () => Promise.reject(new Error('broken')));
  await sleep(0);
  expect(await a.ask('metrics', undefined, LONG_MS)).toEqual(['slow']);
});

test('one that stays silent is waited for no longer than said; its late answer and its end change nothing', async () => {
  const relay = createRelay();
  const [a, b] = [join(relay, 1), join(relay, 2)];
  const silent = join(relay, 3, { mute: true });
  b.on('metrics', () => 'here');
  silent.on('metrics', () => 'never');
  await sleep(0);
  expect(await a.ask('metrics', undefined, 20)).toEqual(['here']);
  relay.heard(3, { kind: 'answer', ask: 1, answer: 'late' });
  relay.leave(3);
  expect(await a.ask('metrics', undefined, LONG_MS)).toEqual(['here']);
});

test('one that ends is not waited for, and whoever takes its number is not taken for it', async () => {
  const relay = createRelay();
  const a = join(relay, 1);
  const ending = join(relay, 2, { mute: true });
  ending.on('metrics', () => 'never');
  await sleep(0);
  const asked = a.ask('metrics', undefined, LONG_MS);
  await sleep(0);
  relay.leave(2);
  const heir = join(relay, 2);
  expect(await asked).toEqual([]);
  // It has not said yet what it handles.
  expect(await a.ask('metrics', undefined, LONG_MS)).toEqual([]);
  heir.on('metrics', () => 'heir');
  await sleep(0);
  expect(await a.ask('metrics', undefined, LONG_MS)).toEqual(['heir']);
});

test('what is told reaches everyone else with a handler, once', async () => {
  const relay = createRelay();
  const [a, b, c] = [join(relay, 1), join(relay, 2), join(relay, 3)];
  const heard: unknown[] = [];
  for (const one of [a, b, c]) one.on('rates', (message) => heard.push([one.number, message]));
  await sleep(0);
  a.tell('rates', [1, 2]);
  await sleep(0);
  expect(heard).toEqual([[2, [1, 2]], [3, [1, 2]]]);
});
