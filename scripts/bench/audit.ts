/**
 * What the audit log costs. Append: transactions with and without an event, turn by turn in this process, over the tables of the service. Sustained: agents suspended and resumed
 * while certificates are being issued, each with an event of its own and one for each certificate; first one by one, then a hundred at a time by their label.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { appendAudit, appendAuditHot, encodeAuditEvent } from '../../src/audit/append.ts';
import type { AuditEvent, Origin } from '../../src/audit/events.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { connect, inHotTransaction, inTransaction, type Db } from '../../src/db/client.ts';
import { order } from './admin.ts';
import { requestOf } from './connection.ts';
import { requestsFor, serialsOf } from './issuance.ts';
import { closedLoop, openLoop, openPool, type Pool } from './loops.ts';
import { assertAll, quantile } from './measure.ts';
import { cpuUse } from './processes.ts';
import type { Stage } from './stage.ts';

const ISSUANCES_A_SECOND = 200;
const CONNECTIONS = { issuing: 32, changing: 8 };
/** Transactions of one turn of the comparison. */
const TURN = 50;
/** Events of one transaction where many are appended at once. */
const BATCH = 100;

export interface AuditFigures {
  /** CPU of the process that appends, µs an event: canonical bytes and columns; all of it, one event a transaction; all of it, of many in a transaction, with Prisma and past it. */
  append: { encode: number; single: number; batched: number; hot: number };
  sustained: Beside & { requestsPerSecond: number; eventsARequest: number; p50Ms: number; p99Ms: number };
  byLabel: Beside & { agents: number; orders: number; eventsAnOrder: number };
  /** From the time of an event to that of the first checkpoint that covers it, over both. */
  lagMs: { p50: number; p99: number };
}

/** Events that are no issuance, beside issuances. */
interface Beside {
  eventsPerSecond: number;
  issuedPerSecond: number;
  cores: { service: number; postgres: number };
}

/** Agents of one label. */
const LABELLED = 100;
const POLL_MS = 20;

const random = createSystemRandom();
const ORIGIN: Origin = {
  actor: { kind: 'admin', id: '01KAMV3W5QZ3C1D6X2G7R8S9TB' }, credential: { kind: 'api-token', id: '01KAMV3W5QZ3C1D6X2G7R8S9TB', role: 'operator' },
  requestId: '01KAMV3W5QZ3C1D6X2G7R8S9TC', traceId: '4bf92f3577b34da6a3ce929d0e0e4736', source: '127.0.0.1',
};

/** What most events are that no issuance makes. Of an agent that is not there: nothing that is measured elsewhere counts it. */
const held = (): AuditEvent => ({
  kind: 'certificate.held', outcome: 'success', agentId: '01KAMV3W5QZ3C1D6X2G7R8S9TD', instanceId: '01KAMV3W5QZ3C1D6X2G7R8S9TE', serial: random.bytes(20), detail: { cause: 'suspension:01KAMV3W5QZ3C1D6X2G7R8S9TF' },
});

/** User and system time of this process that `work` takes, µs. */
async function cpuOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function append({ service, sizes }: Stage): Promise<AuditFigures['append']> {
  const db = connect(service.databaseUrls.service, { maxConnections: 1, statementTimeoutMs: 20_000, applicationName: 'bench' });
  const now = () => new Date();
  const transactions = (count: number, events: number) => async () => {
    for (let i = 0; i < count; i++) await transaction(db, events);
  };
  const transaction = (to: Db, events: number) =>
    inTransaction(to, async (tx) => {
      await tx.$queryRaw`SELECT 1`;
      if (events > 0) await appendAudit({ random }, tx, ORIGIN, now(), ...Array.from({ length: events }, held));
    });
  try {
    await transactions(2 * TURN, 1)();
    const hotTransactions = (count: number, events: number) => async () => {
      for (let i = 0; i < count; i++) {
        await inHotTransaction(db, async (tx) => {
          await tx.run({ name: 'bench-one', text: 'SELECT 1' }, []);
          if (events > 0) await appendAuditHot({ random }, tx, ORIGIN, now(), ...Array.from({ length: events }, held));
        });
      }
    };
    await hotTransactions(TURN / 10, BATCH)();
    const micros = { none: 0, one: 0, many: 0, hotNone: 0, hot: 0, encode: 0 };
    const turns = Math.ceil(sizes.auditAppends / TURN);
    for (let i = 0; i < turns; i++) {
      micros.none += await cpuOf(transactions(TURN, 0));
      micros.one += await cpuOf(transactions(TURN, 1));
      micros.many += await cpuOf(transactions(TURN / 10, BATCH));
      micros.hotNone += await cpuOf(hotTransactions(TURN / 10, 0));
      micros.hot += await cpuOf(hotTransactions(TURN / 10, BATCH));
      micros.encode += await cpuOf(() => { for (let n = 0; n < 10 * TURN; n++) encodeAuditEvent({ random }, ORIGIN, now(), held()); });
    }
    const count = turns * TURN;
    return { encode: micros.encode / (10 * count), single: (micros.one - micros.none) / count, batched: (micros.many - micros.none / 10) / ((count / 10) * BATCH), hot: (micros.hot - micros.hotNone) / ((count / 10) * BATCH) };
  } finally {
    await db.$disconnect();
  }
}

/** `issuingTo` and `changing`: ids of agents, none in both. */
export async function audit(stage: Stage, issuingTo: readonly string[], changing: readonly string[]): Promise<{ figures: AuditFigures; serials: string[] }> {
  const { service } = stage;
  const appended = await append(stage);
  const issuing = await openPool(service.doors.api, CONNECTIONS.issuing);
  const admin = await openPool(service.doors.api, CONNECTIONS.changing);
  try {
    const first = await lastEvent(stage);
    const latencies: number[] = [];
    const one = await beside(stage, issuing, issuingTo, async (goOn) => {
      for (let round = 0; goOn(); round++) latencies.push(...(await changeAll(admin, stage, changing, round % 2 === 0 ? 'suspend' : 'resume', goOn)));
    });
    // All of them active again, before they are killed.
    await changeAll(admin, stage, changing, 'resume', () => true, [200, 409]);
    const groups = await labelled(stage, changing);
    let orders = 0;
    const many = await beside(stage, issuing, issuingTo, async (goOn) => {
      for (let n = 0; goOn(); n = (n + 1) % groups.length) orders += await killAndResume(admin, stage, groups[n] ?? '');
    });
    const lag = await lagOf(stage, first);
    return {
      figures: {
        append: appended,
        sustained: { ...one.figures, requestsPerSecond: latencies.length / one.seconds, eventsARequest: one.events / latencies.length, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) },
        byLabel: { ...many.figures, agents: LABELLED, orders, eventsAnOrder: many.events / orders },
        lagMs: lag,
      },
      serials: [...one.serials, ...many.serials],
    };
  } finally {
    issuing.close();
    admin.close();
  }
}

/** Gives agents labels, so many each; returns the labels. */
async function labelled({ database }: Stage, agentIds: readonly string[]): Promise<string[]> {
  const labels = Array.from({ length: Math.floor(agentIds.length / LABELLED) }, (_, i) => `group-${i}`);
  for (const [i, label] of labels.entries()) await database.query("UPDATE agents SET labels = jsonb_build_object('bench', $1::text) WHERE id = ANY ($2)", [label, agentIds.slice(i * LABELLED, (i + 1) * LABELLED)]);
  return labels;
}

const lastEvent = async ({ database }: Stage): Promise<number> => (await database.query<{ n: number }>(`SELECT value::int AS n FROM counters WHERE name = 'audit'`))[0]?.n ?? 0;

/** Does `work` as long as certificates are issued beside it. */
async function beside(stage: Stage, issuing: Pool, agentIds: readonly string[], work: (goOn: () => boolean) => Promise<void>) {
  const { service, database, csrs, sizes } = stage;
  const requests = await requestsFor(stage, agentIds, csrs.take(sizes.auditIssuances));
  const countEvents = async () => (await database.query<{ n: number }>(`SELECT (SELECT value FROM counters WHERE name = 'audit')::int - (SELECT count(*) FROM audit_events WHERE kind = 'certificate.issued')::int AS n`))[0]?.n ?? 0;
  const [eventsBefore, before, began] = [await countEvents(), cpuUse(service.pid, service.postmaster), performance.now()];
  let isIssuing = true;
  const issued = openLoop(issuing, requests, ISSUANCES_A_SECOND).finally(() => (isIssuing = false));
  await work(() => isIssuing);
  const seconds = (performance.now() - began) / 1000;
  const after = cpuUse(service.pid, service.postmaster);
  const events = (await countEvents()) - eventsBefore;
  const made = await issued;
  assertAll(made, 201);
  const cores = (micros: number) => micros / 1e6 / seconds;
  const figures: Beside = { eventsPerSecond: events / seconds, issuedPerSecond: made.replies.length / made.seconds, cores: { service: cores(after.service - before.service), postgres: cores(after.postgres - before.postgres) } };
  return { figures, events, seconds, serials: serialsOf(made) };
}

interface Order {
  id: string;
  state: string;
}

/** Kills all agents of a label, waits until that is done, and takes it back. Returns the orders it took. */
async function killAndResume(admin: Pool, { service, database }: Stage, label: string): Promise<number> {
  const asked = { selector: { labels: { bench: label } }, effect: 'suspend', reason: 'bench' };
  const { confirm } = await order<{ confirm: string }>(admin, service, '/v1/kill', { ...asked, dryRun: true });
  const { id } = await order<Order>(admin, service, '/v1/kill', { ...asked, confirm });
  const until = async (state: string) => {
    while ((await database.query<Order>('SELECT state FROM kills WHERE id = $1', [id]))[0]?.state !== state) await sleep(POLL_MS);
  };
  await until('done');
  await order(admin, service, `/v1/kills/${id}/resume`, { reason: 'bench' });
  await until('resumed');
  return 2;
}

/** Of the events after `first` that a checkpoint covers by now. */
async function lagOf(stage: Stage, first: number): Promise<AuditFigures['lagMs']> {
  const { database } = stage;
  const last = await lastEvent(stage);
  const covered = async () => (await database.query<{ size: number | null }>('SELECT max(size)::int AS size FROM audit_checkpoints'))[0]?.size ?? 0;
  while ((await covered()) < last) await sleep(POLL_MS);
  const [lag] = await database.query<{ p50: number; p99: number }>(
    `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99
     FROM audit_events e, LATERAL (SELECT extract(epoch FROM at - e.at)::float8 * 1000 AS ms FROM audit_checkpoints WHERE size >= e.n ORDER BY size LIMIT 1) c WHERE e.n > $1 AND e.n <= $2`,
    [first, last],
  );
  return lag ?? { p50: Number.NaN, p99: Number.NaN };
}

const CHUNK = 64;

/** Changes one agent after the other, over all connections, while `goOn`; returns how long each took, ms. */
async function changeAll(admin: Pool, { service }: Stage, agentIds: readonly string[], how: 'suspend' | 'resume', goOn: () => boolean, allowed: readonly number[] = [200]): Promise<number[]> {
  const headers = { authorization: `Bearer ${service.adminToken}`, 'content-type': 'application/json' };
  const latencies: number[] = [];
  for (let at = 0; at < agentIds.length && goOn(); at += CHUNK) {
    const answers = await closedLoop(admin, agentIds.slice(at, at + CHUNK).map((id) => requestOf('POST', `/v1/agents/${id}/${how}`, headers, Buffer.from('{}'))));
    assertAll({ ...answers, replies: answers.replies.filter(({ status }) => !allowed.includes(status)) }, 200);
    latencies.push(...answers.latenciesMs);
  }
  return latencies;
}
