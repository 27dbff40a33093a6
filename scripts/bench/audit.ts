/**
 * What the audit log costs. Append: transactions with and without an event, turn by turn in this process, over the tables of the service. Sustained: agents suspended and resumed
 * while certificates are being issued, each with an event of its own and one for each certificate.
 */
import { appendAudit, encodeAuditEvent } from '../../src/audit/append.ts';
import type { AuditEvent, Origin } from '../../src/audit/events.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { connect, inTransaction, type Db } from '../../src/db/client.ts';
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
  /** CPU of the process that appends, µs an event: canonical bytes and columns; all of it, one event a transaction; all of it, of many in a transaction. */
  append: { encode: number; single: number; batched: number };
  sustained: { eventsPerSecond: number; requestsPerSecond: number; eventsARequest: number; issuedPerSecond: number; p50Ms: number; p99Ms: number; cores: { service: number; postgres: number } };
}

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
    const micros = { none: 0, one: 0, many: 0, batches: 0, encode: 0 };
    const turns = Math.ceil(sizes.auditAppends / TURN);
    for (let i = 0; i < turns; i++) {
      micros.none += await cpuOf(transactions(TURN, 0));
      micros.one += await cpuOf(transactions(TURN, 1));
      micros.many += await cpuOf(transactions(TURN / 10, BATCH));
      micros.encode += await cpuOf(() => { for (let n = 0; n < 10 * TURN; n++) encodeAuditEvent({ random }, ORIGIN, now(), held()); });
    }
    const count = turns * TURN;
    return { encode: micros.encode / (10 * count), single: (micros.one - micros.none) / count, batched: (micros.many - micros.none / 10) / ((count / 10) * BATCH) };
  } finally {
    await db.$disconnect();
  }
}

/** `issuingTo` and `changing`: ids of agents, none in both. */
export async function audit(stage: Stage, issuingTo: readonly string[], changing: readonly string[]): Promise<{ figures: AuditFigures; serials: string[] }> {
  const { service, database, sizes } = stage;
  const appended = await append(stage);
  const issuing = await openPool(service.doors.api, CONNECTIONS.issuing);
  const admin = await openPool(service.doors.api, CONNECTIONS.changing);
  try {
    const requests = await requestsFor(stage, issuingTo, stage.csrs.take(sizes.auditIssuances));
    const countEvents = async () => (await database.query<{ n: number }>(`SELECT (SELECT value FROM counters WHERE name = 'audit')::int - (SELECT count(*) FROM audit_events WHERE kind = 'certificate.issued')::int AS n`))[0]?.n ?? 0;
    const [eventsBefore, before, began] = [await countEvents(), cpuUse(service.pid, service.postmaster), performance.now()];
    let isIssuing = true;
    const issued = openLoop(issuing, requests, ISSUANCES_A_SECOND).finally(() => (isIssuing = false));
    const latencies: number[] = [];
    for (let round = 0; isIssuing; round++) latencies.push(...(await changeAll(admin, stage, changing, round % 2 === 0 ? 'suspend' : 'resume', () => isIssuing)));
    const seconds = (performance.now() - began) / 1000;
    const after = cpuUse(service.pid, service.postmaster);
    const events = (await countEvents()) - eventsBefore;
    const made = await issued;
    assertAll(made, 201);
    const cores = (micros: number) => micros / 1e6 / seconds;
    return {
      figures: {
        append: appended,
        sustained: {
          eventsPerSecond: events / seconds, requestsPerSecond: latencies.length / seconds, eventsARequest: events / latencies.length, issuedPerSecond: made.replies.length / made.seconds,
          p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99), cores: { service: cores(after.service - before.service), postgres: cores(after.postgres - before.postgres) },
        },
      },
      serials: serialsOf(made),
    };
  } finally {
    issuing.close();
    admin.close();
  }
}

const CHUNK = 64;

/** Changes one agent after the other, over all connections, while `goOn`; returns how long each took, ms. */
async function changeAll(admin: Pool, { service }: Stage, agentIds: readonly string[], how: 'suspend' | 'resume', goOn: () => boolean): Promise<number[]> {
  const headers = { authorization: `Bearer ${service.adminToken}`, 'content-type': 'application/json' };
  const latencies: number[] = [];
  for (let at = 0; at < agentIds.length && goOn(); at += CHUNK) {
    const answers = await closedLoop(admin, agentIds.slice(at, at + CHUNK).map((id) => requestOf('POST', `/v1/agents/${id}/${how}`, headers, Buffer.from('{}'))));
    assertAll(answers, 200);
    latencies.push(...answers.latenciesMs);
  }
  return latencies;
}
