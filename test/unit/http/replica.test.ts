import { expect, test } from '@jest/globals';
import { createMetrics } from '../../../src/core/metrics.ts';
import { alone, type ReplicaState, type Siblings, type SiblingTopic } from '../../../src/core/siblings.ts';
import { replicaMetrics, replicaReadiness, type WorkerReadiness } from '../../../src/http/replica.ts';

/** Worker 1 of `workers`, with the others' answers given. */
const first = (workers: number, state: ReplicaState, answers: Partial<Record<SiblingTopic, unknown[]>>): Siblings => ({
  ...alone, workers, number: 1, replica: () => state, ask: (topic) => Promise.resolve(answers[topic] ?? []),
});
const ready = (worker: number, checks: Record<string, string> = {}, warnings: string[] = []): WorkerReadiness => ({
  worker, isReady: checks.database !== 'failed', checks: { database: 'ok', keyStore: 'ok', ...checks }, warnings,
});
const readiness = (siblings: Siblings, here = ready(1)) => replicaReadiness({ siblings }, Promise.resolve(here));

test('a replica of one worker answers its own checks and nothing more', async () => {
  expect(await readiness(alone, ready(1, {}, ['loud']))).toEqual({ isReady: true, checks: { database: 'ok', keyStore: 'ok' }, warnings: ['loud'] });
});

test('a check that not all workers pass says which fail it; warnings are told once', async () => {
  const siblings = first(3, { serving: [1, 2, 3], wasComplete: true, killed: 0 }, { readiness: [ready(3, { database: 'failed' }, ['loud']), ready(2, { extra: 'ok' }, ['loud'])] });
  expect(await readiness(siblings, ready(1, { extra: 'ok' }, ['loud']))).toEqual({
    isReady: false,
    checks: { database: 'worker 3: failed', keyStore: 'ok', extra: 'worker 3: not known', workers: 'ok' },
    warnings: ['loud'],
  });
  const all = first(2, { serving: [1, 2], wasComplete: true, killed: 0 }, { readiness: [ready(2, { database: 'failed' })] });
  expect((await readiness(all, ready(1, { database: 'failed' }))).checks.database).toBe('failed');
});

test('a worker that serves and does not answer makes the replica not ready; one that ended only once it was never whole', async () => {
  const silent = await readiness(first(2, { serving: [1, 2], wasComplete: true, killed: 0 }, {}));
  expect([silent.isReady, silent.checks.workers]).toEqual([false, 'worker 2: no answer']);
  const starting = await readiness(first(3, { serving: [1], wasComplete: false, killed: 0 }, {}));
  expect([starting.isReady, starting.checks.workers]).toEqual([false, 'worker 2: starting, worker 3: starting']);
  const replaced = await readiness(first(2, { serving: [1], wasComplete: true, killed: 0 }, {}));
  expect(replaced).toEqual({ isReady: true, checks: { database: 'ok', keyStore: 'ok', workers: 'ok' }, warnings: ['worker 2 has ended and is being replaced'] });
});

test('metrics of a replica: what each worker counts is told apart, what all see alike is one', async () => {
  const asked: number[] = [];
  const [one, two] = [createMetrics({ processMetrics: true, worker: 1 }), createMetrics({ processMetrics: true, worker: 2 })];
  for (const [metrics, n] of [[one, 1], [two, 2]] as const) {
    metrics.issued.inc({ profile: 'agent' }, n);
    metrics.issuanceDuration.observe({ operation: 'issue' }, 0.003);
    metrics.onScrape(metrics.cluster.crlNumber, () => {
      asked.push(n);
      metrics.cluster.crlNumber.set({ issuer: 'I1' }, 6 + n);
    });
    metrics.feedPosition.set(40 + n);
    metrics.commitQueue.set(n);
  }
  const text = await replicaMetrics({ siblings: first(2, { serving: [1, 2], wasComplete: true, killed: 0 }, { metrics: [structuredClone(await two.snapshot())] }), metrics: one });
  for (const line of [
    'signet_certificates_issued_total{profile="agent",worker="1"} 1',
    'signet_certificates_issued_total{profile="agent",worker="2"} 2',
    'signet_issuance_duration_seconds_bucket{le="0.005",operation="issue",worker="2"} 1',
    'signet_issuance_duration_seconds_count{operation="issue",worker="1"} 1',
    'signet_cluster_crl_number{issuer="I1"} 7',
    'signet_feed_position 41',
    'signet_commit_queue_length 3',
  ]) expect(text.split('\n')).toContain(line);
  for (const worker of [1, 2]) expect(text).toMatch(new RegExp(`^process_start_time_seconds{worker="${worker}"} \\d+`, 'm'));
  // What the cluster counts, only the one that is scraped asks the database for.
  expect(asked).toEqual([1]);
  expect(text.match(/^# TYPE signet_cluster_crl_number /gm)).toHaveLength(1);
  expect(text.match(/^# TYPE signet_certificates_issued_total /gm)).toHaveLength(1);
});
