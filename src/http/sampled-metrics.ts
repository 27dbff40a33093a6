import type { Context } from '../context.ts';
import { logLinesDropped } from '../core/log.ts';
import { poolState } from '../db/client.ts';
import { auditLogView } from '../db/views/audit-log.ts';
import { clusterNumbers, issuerLists } from '../db/views/cluster-numbers.ts';
import { slowestLagMs } from '../db/views/enforcement-points.ts';
import { stopsInForce, unfinishedKills } from '../db/views/kills.ts';
import { jobHealth, partitionDaysAhead } from '../db/views/readiness.ts';
import { JOBS } from '../jobs/schedule.ts';
import { bucketOf } from '../x509/serial.ts';
import { atMostOnceIn, within } from './bounded.ts';

/** How often scrapes may ask the database, and how long one waits for it: without an answer the last one is told again. Milliseconds. */
const CLUSTER_AGE_MS = 5_000;
const CLUSTER_WAIT_MS = 1_000;
const MS_PER_SECOND = 1_000;

/** What is only known when it is asked for: pools, and what the whole cluster counts. */
export function sampleMetrics(ctx: Context): void {
  const { metrics, clock } = ctx;
  const pools = ctx.ownerDb === ctx.db ? { service: ctx.db } : { service: ctx.db, owner: ctx.ownerDb };
  metrics.onScrape(metrics.databaseConnections, () => {
    for (const [pool, db] of Object.entries(pools)) {
      const { inUse, idle } = poolState(db);
      metrics.databaseConnections.set({ pool, state: 'in-use' }, inUse);
      metrics.databaseConnections.set({ pool, state: 'idle' }, idle);
    }
  });
  metrics.onScrape(metrics.databaseWaiting, () => {
    for (const [pool, db] of Object.entries(pools)) metrics.databaseWaiting.set({ pool }, poolState(db).waiting);
  });
  metrics.onScrape(metrics.workersKilled, () => metrics.workersKilled.set(ctx.siblings.replica().killed));
  metrics.onScrape(metrics.logLinesDropped, () => {
    metrics.logLinesDropped.reset();
    metrics.logLinesDropped.inc(logLinesDropped());
  });
  sampleCluster(ctx, atMostOnceIn(CLUSTER_AGE_MS, () => clock.monotonicMs(), () => readCluster(ctx)));
}

type IssuerGauge = Context['metrics']['cluster']['crlNumber'];
type ClusterState = Awaited<ReturnType<typeof readCluster>>;

async function readCluster(ctx: Pick<Context, 'db' | 'clock'>) {
  return {
    numbers: await clusterNumbers(ctx.db),
    lists: await issuerLists(ctx.db),
    jobs: await jobHealth(ctx.db, JOBS.map(({ name }) => name), 0),
    enforcementLagMs: await slowestLagMs(ctx.db, ctx.clock.now()),
    partitionDays: await partitionDaysAhead(ctx.db, bucketOf(ctx.clock.now())),
    stops: await stopsInForce(ctx.db),
    killsUnfinished: await unfinishedKills(ctx.db),
    auditLog: await auditLogView(ctx.db),
    now: ctx.clock.now(),
  };
}

function sampleCluster(ctx: Pick<Context, 'metrics'>, read: () => Promise<ClusterState>): void {
  const { metrics } = ctx;
  const { cluster } = metrics;
  const tell = (metric: Parameters<typeof metrics.onScrape>[0], set: (state: ClusterState) => void) =>
    metrics.onScrape(metric, () => within(CLUSTER_WAIT_MS, read()).then(set, () => undefined));
  tell(cluster.certificates, ({ numbers }) => {
    for (const state of ['good', 'held', 'revoked'] as const) cluster.certificates.set({ state }, numbers.certificates[state]);
  });
  tell(cluster.countedAt, ({ numbers }) => cluster.countedAt.set(numbers.countedAt.getTime() / MS_PER_SECOND));
  tell(cluster.certificatesEver, ({ numbers }) => {
    for (const event of ['issued', 'renewed', 'expired'] as const) cluster.certificatesEver.set({ event }, numbers.events[event]);
  });
  tell(cluster.jobLastSuccess, ({ jobs }) => {
    for (const { job, lastSuccessAt } of jobs) if (lastSuccessAt) cluster.jobLastSuccess.set({ job }, lastSuccessAt.getTime() / MS_PER_SECOND);
  });
  const tellLists = (gauge: IssuerGauge, of: (list: ClusterState['lists'][number]) => number) =>
    tell(gauge, ({ lists }) => {
      gauge.reset();
      for (const list of lists) gauge.set({ issuer: list.issuerId }, of(list));
    });
  tellLists(cluster.crlThisUpdate, ({ oldestThisUpdate }) => oldestThisUpdate.getTime() / MS_PER_SECOND);
  tellLists(cluster.crlNextUpdate, ({ nearestNextUpdate }) => nearestNextUpdate.getTime() / MS_PER_SECOND);
  tellLists(cluster.crlNumber, ({ number }) => Number(number));
  tellLists(cluster.crlEntries, ({ entries }) => entries);
  tell(cluster.feedEnd, ({ numbers }) => cluster.feedEnd.set(numbers.feedEnd));
  tell(cluster.enforcementLag, ({ enforcementLagMs }) => cluster.enforcementLag.set(enforcementLagMs / MS_PER_SECOND));
  tell(cluster.auditEnd, ({ numbers }) => cluster.auditEnd.set(numbers.auditEnd));
  tell(cluster.partitionDaysAhead, ({ partitionDays }) => cluster.partitionDaysAhead.set(partitionDays));
  tell(cluster.issuanceStops, ({ stops }) => {
    for (const kind of ['everything', 'issuer', 'profile'] as const) cluster.issuanceStops.set({ kind }, stops.filter((stop) => stop.kind === kind).length);
  });
  tell(cluster.killsUnfinished, ({ killsUnfinished }) => cluster.killsUnfinished.set(killsUnfinished));
  tell(cluster.logRunning, ({ auditLog }) => cluster.logRunning.set(auditLog?.log.state === 'running' ? 1 : 0));
  tell(cluster.logSize, ({ auditLog }) => cluster.logSize.set(auditLog?.size ?? 0));
  tell(cluster.logLag, ({ auditLog, now }) => cluster.logLag.set(auditLog?.uncoveredSince ? Math.max(0, now.getTime() - auditLog.uncoveredSince.getTime()) / MS_PER_SECOND : 0));
  tell(cluster.logWitnesses, ({ auditLog }) => {
    for (const state of ['cosigning', 'failing', 'ahead'] as const) cluster.logWitnesses.set({ state }, auditLog?.witnesses.filter((one) => one.state === state).length ?? 0);
  });
}
