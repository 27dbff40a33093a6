import { expect, test } from '@jest/globals';
import { noBarrier } from '../../../src/core/barrier.ts';
import { createLogger } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import type { Db } from '../../../src/db/client.ts';
import type { CertificateCommit, commitCertificates } from '../../../src/db/commit.ts';
import { createCommitQueue } from '../../../src/issuance/commit-queue.ts';
import { makeSerial } from '../../../src/x509/serial.ts';

const NOW = new Date('2026-11-21T00:00:00Z');

function row(n: number): CertificateCommit {
  const bytes = Buffer.alloc(32, n);
  return {
    kind: 'enroll', agentVersion: 1, agentId: 'agent', instanceId: `instance-${n}`, tokenId: null, source: null, oldSerial: null, keyReuse: false,
    serial: makeSerial(NOW, bytes.subarray(0, 16)), issuerId: 'issuer', profile: 'agent', shard: 0, generation: 1, keyHash: bytes, der: bytes,
    notBefore: NOW, notAfter: NOW, issuedAt: NOW, idempotency: null,
    audit: {
      id: `${n}`, kind: 'certificate.issued', outcome: 'success', at: NOW, actorKind: 'system', actorId: 'test', agentId: null, instanceId: null, serial: null, target: null, requestId: null,
      event: bytes, personal: [],
    },
  };
}

/** A database that answers each batch as told; `asked` are the instances of every batch it saw. */
function queueOver(answer: (instances: string[]) => Error | undefined) {
  const asked: string[][] = [];
  const commit: typeof commitCertificates = (_db, rows) => {
    const instances = rows.map(({ instanceId }) => instanceId);
    asked.push(instances);
    const fault = answer(instances);
    return fault ? Promise.reject(fault) : Promise.resolve(instances.map(() => 'committed'));
  };
  const db = { certificate: { findMany: () => Promise.resolve([]) } } as unknown as Db;
  const needs = { db, log: createLogger('silent'), metrics: createMetrics(), barrier: noBarrier, config: { commitBatchMax: 128, commitQueueMax: 128 } };
  const queue = createCommitQueue(needs, commit);
  return { asked, submitAll: (...numbers: number[]) => Promise.allSettled(numbers.map((n) => queue.submit(row(n)))) };
}

const outcomes = (settled: PromiseSettledResult<string>[]) => settled.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).message));

test('a row that the database cannot store fails alone; the others of its batch are committed and said to be', async () => {
  const { asked, submitAll } = queueOver((instances) => (instances.includes('instance-2') ? new Error('no partition') : undefined));
  expect(outcomes(await submitAll(1, 2, 3))).toEqual(['committed', 'no partition', 'committed']);
  expect(asked).toEqual([['instance-1', 'instance-2', 'instance-3'], ['instance-1'], ['instance-2'], ['instance-3']]);
});

test('when the database goes away between single rows, the row under way is unknown and the rest is not sent at all', async () => {
  const gone = Object.assign(new Error('away'), { code: 'ECONNREFUSED' });
  const { asked, submitAll } = queueOver((instances) => (instances.length > 1 ? new Error('poison') : instances[0] === 'instance-2' ? gone : undefined));
  expect(outcomes(await submitAll(1, 2, 3))).toEqual(['committed', 'unknown', 'away']);
  expect(asked).toHaveLength(3);
});
