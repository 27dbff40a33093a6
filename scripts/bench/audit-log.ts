/** What the tree over the audit events costs: hashing them, proofs, and judging all of it, over a database of its own. CPU, and memory of `signet audit verify` as a process of its own. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { encodeAuditEvent } from '../../src/audit/append.ts';
import type { Origin } from '../../src/audit/events.ts';
import { ensureLog } from '../../src/audit/log.ts';
import { consistencyOf, inclusionOf } from '../../src/audit/proofs.ts';
import { createSequencer } from '../../src/audit/sequence.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { connect } from '../../src/db/client.ts';
import { SERVICE_ROLE, startEmbedded } from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { ensureServiceRole } from '../../src/db/roles.ts';
import { openKeyStore } from '../../src/keystore/index.ts';
import { cpuUse, endedChildrenMicros, peakMb } from './processes.ts';
import { embeddedIn } from './service.ts';

export interface AuditLogFigures {
  events: number;
  /** µs an event: of the process that sequences, of PostgreSQL. */
  sequencer: { service: number; postgres: number };
  /** CPU of one, ms; both sides. */
  inclusion: Both;
  consistency: Both;
  /** Of `signet audit verify` over the database: CPU of the process and of PostgreSQL, seconds; resident memory at its highest. */
  verify: Both & { rssMb: number };
}

interface Both {
  service: number;
  postgres: number;
}

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/signet.js');
const ORIGIN: Origin = { actor: { kind: 'admin', id: '01KAMV3W5QZ3C1D6X2G7R8S9TB' }, credential: { kind: 'api-token', id: '01KAMV3W5QZ3C1D6X2G7R8S9TB', role: 'operator' }, requestId: '01KAMV3W5QZ3C1D6X2G7R8S9TC', source: '10.1.2.3' };
const INSERT_ROWS = 20_000;
const PROOFS = 300;
const CHECKPOINT_MS = 1_000;
/** The event's id in the bytes that every event is made of. */
const ID = '@id@';

/** `dataDir`: an empty folder that the database's own user can go through. */
export async function auditLog(dataDir: string, events: number): Promise<AuditLogFigures> {
  const server = await startEmbedded({ dataDir });
  try {
    await migrate(server.ownerUrl);
    await ensureServiceRole(server.ownerUrl, { name: SERVICE_ROLE, password: server.servicePassword });
    const { postmaster } = embeddedIn(dataDir);
    const db = connect(server.serviceUrl, { maxConnections: 2, statementTimeoutMs: 60_000, applicationName: 'bench' });
    try {
      const [random, log] = [createSystemRandom(), createLogger('silent')];
      const { keyStore } = await openKeyStore({ db, random, clock: systemClock, log }, { kind: 'file', key: randomBytes(32), path: dataDir });
      const ctx = { db, keyStore, random, log, clock: systemClock, config: { trustDomain: 'bench.internal', auditWitnessQuorum: 0 }, copyDir: path.join(dataDir, 'copies'), barrier: noBarrier, metrics: createMetrics() };
      await ensureLog(ctx, ORIGIN);
      await insertEvents(server.ownerUrl, events);
      const both = (work: () => Promise<unknown>, each: number) => cpuOf(postmaster, work, each);
      const sequencer = await both(async () => {
        const { step } = createSequencer(ctx);
        for (let last = await step(); last.isBehind === true; last = await step());
        // What was hashed right after a checkpoint is in the next.
        await sleep(CHECKPOINT_MS);
        await step();
      }, events);
      const indexes = Array.from({ length: PROOFS }, (_, i) => 1 + Math.floor((i * events) / PROOFS));
      for (const n of indexes) await inclusionOf(ctx, String(n), undefined);
      const inclusion = await both(async () => { for (const n of indexes) await inclusionOf(ctx, String(n), undefined); }, PROOFS * 1e3);
      const consistency = await both(async () => { for (const n of indexes) await consistencyOf(ctx, n, undefined); }, PROOFS * 1e3);
      return { events, sequencer, inclusion, consistency, verify: await verify(dataDir, postmaster, server) };
    } finally {
      await db.$disconnect();
    }
  } finally {
    await server.stop();
  }
}

/** CPU of this process and of PostgreSQL, µs divided by `each`. The kernel counts PostgreSQL's in ticks of 10 ms. */
async function cpuOf(postmaster: number, work: () => Promise<unknown>, each: number): Promise<Both> {
  const [began, before] = [process.cpuUsage(), cpuUse(process.pid, postmaster).postgres];
  await work();
  const { user, system } = process.cpuUsage(began);
  return { service: (user + system) / each, postgres: (cpuUse(process.pid, postmaster).postgres - before) / each };
}

/** Events that no state has, past the service: how they are made is not what is measured. */
async function insertEvents(ownerUrl: string, count: number): Promise<void> {
  const row = encodeAuditEvent({ random: createSystemRandom() }, ORIGIN, new Date('2026-11-21T12:00:00.000Z'), {
    kind: 'certificate.revoked', outcome: 'success', agentId: '01KAMV3W5QZ3C1D6X2G7R8S9TD', instanceId: '01KAMV3W5QZ3C1D6X2G7R8S9TE', serial: Buffer.alloc(20, 7), detail: { reason: 'keyCompromise' },
  });
  const event = Buffer.from(row.event).toString('utf8').replace(row.id, ID);
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  try {
    for (let made = 0; made < count; made += INSERT_ROWS) {
      await owner.query(
        `WITH taken AS (UPDATE counters SET value = value + $1::int WHERE name = 'audit' RETURNING value - $1::int AS base),
         made AS (SELECT base + i AS n, 'bench-' || (base + i) AS id FROM taken, generate_series(1, $1::int) i)
         INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, agent_id, instance_id, serial, request_id, event)
         SELECT n, id, $2, $3, $4, $5, $6, $7, $8, $9, $10, convert_to(replace($11, '${ID}', id), 'UTF8') FROM made`,
        [Math.min(INSERT_ROWS, count - made), row.kind, row.outcome, row.at, row.actorKind, row.actorId, row.agentId, row.instanceId, row.serial, row.requestId, event],
      );
    }
    await owner.query('VACUUM ANALYZE audit_events');
    await owner.query('CHECKPOINT');
  } finally {
    await owner.end();
  }
}

/** The built program, as an operator runs it. @throws Error when it finds anything */
async function verify(dataDir: string, postmaster: number, { ownerUrl, serviceUrl }: { ownerUrl: string; serviceUrl: string }): Promise<AuditLogFigures['verify']> {
  const kek = path.join(dataDir, 'kek');
  writeFileSync(kek, randomBytes(32).toString('base64'), { mode: 0o600 });
  const [before, postgres] = [endedChildrenMicros(), cpuUse(process.pid, postmaster).postgres];
  const env = { PATH: process.env.PATH, SIGNET_DATA_DIR: dataDir, DATABASE_URL: serviceUrl, SIGNET_OWNER_DATABASE_URL: ownerUrl, SIGNET_KEK_FILE: kek };
  const child = spawn(process.execPath, [PROGRAM, 'audit', 'verify', '--checkpoint', path.join(dataDir, 'copies'), '--json'], { cwd: dataDir, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  let rssMb = 0;
  while (child.exitCode === null && child.signalCode === null) {
    rssMb = Math.max(rssMb, memoryOf(child.pid ?? 0));
    await sleep(20);
  }
  const code = await ended;
  if (code !== 0) throw new Error(`signet audit verify ended with ${code}: ${said.slice(0, 1_000)}`);
  return { service: (endedChildrenMicros() - before) / 1e6, postgres: (cpuUse(process.pid, postmaster).postgres - postgres) / 1e6, rssMb };
}

function memoryOf(pid: number): number {
  try {
    return peakMb(pid);
  } catch {
    // It has just ended.
    return 0;
  }
}
