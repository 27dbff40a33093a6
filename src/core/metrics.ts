import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What this process counts, as Prometheus metrics. States are counted where they change, never by counting rows at a scrape. */
export interface Metrics {
  /** Certificates handed out by enrollment, by profile. */
  readonly issued: Counter<'profile'>;
  /** Certificates handed out by renewal, by profile. */
  readonly renewed: Counter<'profile'>;
  /** Certificates revoked, by CRLReason name. */
  readonly revoked: Counter<'reason'>;
  /** Certificates put on hold, that were good before. */
  readonly held: Counter;
  /** Certificates that a release made good again. */
  readonly released: Counter;
  /** Requests refused, by error code (core/errors.ts). */
  readonly refused: Counter<'code'>;
  /** Requests over a limit, by what they are limited by (source, caller, agent, join-token, failures) and their rate class (for failures: the credential). */
  readonly rateLimited: Counter<'kind' | 'class'>;
  /**
   * Connections closed because they were too many, by why: the door, the process or the address has as many as it may (`door`, `total`, `source`), the
   * address makes them too fast (`rate`), or one sends requests without waiting for answers (`pipelining`).
   */
  readonly connectionsRefused: Counter<'door' | 'reason'>;
  /** Findings raised (copied keys, displaced certificates), by kind. */
  readonly findings: Counter<'kind'>;
  /** Answered requests. `route` is the pattern of the route table, never the path that was asked for; `method` one of a few, or `other`. */
  readonly httpRequests: Counter<'door' | 'route' | 'method' | 'status'>;
  /** Seconds from the first byte of the head to the end of the answer. */
  readonly httpDuration: Histogram<'door' | 'route'>;
  /** Seconds from the parsed request to the durable commit. */
  readonly issuanceDuration: Histogram<'operation'>;
  /** Certificates in one group commit. */
  readonly commitBatch: Histogram;
  /** Issuances waiting for a group commit. */
  readonly commitQueue: Gauge;
  /** OCSP answers, by status (good, revoked, unknown, or an error status) and by where they came from. */
  readonly ocspAnswers: Counter<'status' | 'source'>;
  /** Runs of jobs that ended here, by outcome (succeeded, failed). */
  readonly jobRuns: Counter<'job' | 'outcome'>;
  /** Seconds a run took here, whatever its outcome. */
  readonly jobDuration: Histogram<'job'>;
  /** Rows that retention jobs deleted here, by job. */
  readonly rowsCleared: Counter<'job'>;
  /** Partitions of expired certificates dropped here. */
  readonly partitionsDropped: Counter;
  /** Number of the last feed row this process has acted on. */
  readonly feedPosition: Gauge;
  /** Seconds since the database last confirmed the feed position. */
  readonly feedAge: Gauge;
  /** Streams of the live feed open here, and those that we ended, by why (api/feed.ts). */
  readonly feedStreams: Gauge;
  readonly feedStreamsEnded: Counter<'reason'>;
  /** Events written to streams, all readers together. */
  readonly feedEventsSent: Counter;
  /** Heartbeats signed here. */
  readonly feedHeartbeats: Counter;
  /** Audit events hashed into the tree of the log here, and checkpoints signed here. */
  readonly logLeaves: Counter;
  readonly logCheckpoints: Counter;
  /** notAfter of the certificates of the authority, seconds since 1970. */
  readonly authorityNotAfter: Gauge<'kind' | 'authority'>;
  /** Connections accepted, and those open now. */
  readonly connections: Counter<'door'>;
  readonly openConnections: Gauge<'door'>;
  /** TLS handshakes that ended, by what came of them (full, resumed, failed). */
  readonly tlsHandshakes: Counter<'door' | 'outcome'>;
  /** Connections of a pool, by state (in-use, idle); requests that wait for one. */
  readonly databaseConnections: Gauge<'pool' | 'state'>;
  readonly databaseWaiting: Gauge<'pool'>;
  /** Workers of this replica that hung and were killed by its supervisor. */
  readonly workersKilled: Gauge;
  /** Log lines that nobody took, since the start. */
  readonly logLinesDropped: Counter;
  /** What the whole cluster counts, read from the database by the worker that is scraped: every replica says the same. */
  readonly cluster: {
    /** Unexpired certificates by state (good, held, revoked), as the job count-certificates last counted them, and when that was. */
    readonly certificates: Gauge<'state'>;
    readonly countedAt: Gauge;
    /** Issued, renewed and expired since the counting began. */
    readonly certificatesEver: Gauge<'event'>;
    /** End of a job's last successful run on any replica, seconds since 1970. */
    readonly jobLastSuccess: Gauge<'job'>;
    /** Of the published lists of an issuer: the oldest thisUpdate and the nearest nextUpdate (seconds since 1970), number and entries of the complete list. */
    readonly crlThisUpdate: Gauge<'issuer'>;
    readonly crlNextUpdate: Gauge<'issuer'>;
    readonly crlNumber: Gauge<'issuer'>;
    readonly crlEntries: Gauge<'issuer'>;
    /** Number of the newest row of the feed, and of the audit log. */
    readonly feedEnd: Gauge;
    /** Age of the oldest event that a live enforcement point has not acknowledged, seconds; 0 when there is none. */
    readonly enforcementLag: Gauge;
    readonly auditEnd: Gauge;
    /** Days from today on that have a partition for what expires then. */
    readonly partitionDaysAhead: Gauge;
    /** Stops of issuing in force, by kind (everything, issuer, profile); kills and resumes of kills that are not done. */
    readonly issuanceStops: Gauge<'kind'>;
    readonly killsUnfinished: Gauge;
    /** Whether the Merkle log signs (1) or has stopped (0); events in its tree; age of the oldest event that no checkpoint covers, seconds; witnesses by state. */
    readonly logRunning: Gauge;
    readonly logSize: Gauge;
    readonly logLag: Gauge;
    readonly logWitnesses: Gauge<'state'>;
  };
  /** Sets a metric when it is asked for, instead of whenever what it tells changes. */
  onScrape(metric: Gauge | Counter, sample: () => void | Promise<void>): void;
  /** Every metric, for what compares their documents with them. */
  readonly registry: Registry;
  /** Media type of `text()`. */
  readonly contentType: string;
  /** What this worker has counted, for another one to put beside its own: without what the cluster counts, which that one asks for itself. */
  snapshot(): Promise<MetricsSnapshot>;
  /** The exposition for a scrape: of this worker, and of the others of its replica. */
  text(others?: readonly MetricsSnapshot[]): Promise<string>;
}

/** The metrics of one worker as plain values. */
export type MetricsSnapshot = object[];
/** How the values of several workers become one: what each counts itself is summed, what all of them see alike is not. */
type Aggregation = 'sum' | 'min' | 'max';

/** Seconds. An issuance costs single milliseconds, a slow database seconds. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/** Seconds. Most jobs find nothing to do; one that clears millions of rows takes minutes. */
const JOB_BUCKETS = [0.01, 0.05, 0.25, 1, 5, 30, 120, 600];

export interface MetricsOptions {
  /** Also measure the process itself (CPU, memory, event loop). Off in tests: it starts observers. */
  processMetrics: boolean;
  /** The number of this worker, where there are several: a label of what it counts, and of what is measured of the process itself. */
  worker?: number;
  /** Of the program, for signet_build_info. */
  version?: string;
}

/** Metrics with a registry of their own, so that two services in one process (tests) do not meet. */
export function createMetrics(options: MetricsOptions = { processMetrics: false }): Metrics {
  const registry = new Registry();
  const ofCluster = new Registry();
  const registers = [registry];
  if (options.processMetrics) collectDefaultMetrics({ register: registry, ...(options.worker === undefined ? {} : { labels: { worker: String(options.worker) } }) });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) => new Counter<L>({ name, help, labelNames, registers });
  const samplers = new Map<unknown, () => void | Promise<void>>();
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = [], aggregator: Aggregation = 'max', among = registry) =>
    new Gauge<L>({ name, help, labelNames, registers: [among], aggregator, collect() { return samplers.get(this)?.(); } });
  const clusterGauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => gauge(name, help, labelNames, 'max', ofCluster);
  const sampledCounter = (name: string, help: string) =>
    new Counter({ name, help, registers, collect() { return samplers.get(this)?.(); } });
  const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[] = []) =>
    new Histogram<L>({ name, help, labelNames, buckets, registers });
  gauge('signet_build_info', 'Version of Signet and of Node; always 1.', ['version', 'node']).set({ version: options.version ?? 'unknown', node: process.versions.node }, 1);
  return {
    issued: counter('signet_certificates_issued_total', 'Certificates issued by enrollment.', ['profile']),
    renewed: counter('signet_certificates_renewed_total', 'Certificates issued by renewal.', ['profile']),
    revoked: counter('signet_certificates_revoked_total', 'Certificates revoked.', ['reason']),
    held: counter('signet_certificates_held_total', 'Certificates put on hold.', []),
    released: counter('signet_certificates_released_total', 'Certificates released from their last hold.', []),
    refused: counter('signet_requests_refused_total', 'Requests refused, by error code.', ['code']),
    rateLimited: counter('signet_rate_limited_total', 'Requests over a limit, by what is limited and rate class.', ['kind', 'class']),
    connectionsRefused: counter('signet_connections_refused_total', 'Connections closed because they, or their requests, were too many.', ['door', 'reason']),
    findings: counter('signet_findings_total', 'Findings raised.', ['kind']),
    httpRequests: counter('signet_http_requests_total', 'Requests answered.', ['door', 'route', 'method', 'status']),
    httpDuration: histogram('signet_http_request_duration_seconds', 'Time to answer a request.', DURATION_BUCKETS, ['door', 'route']),
    issuanceDuration: histogram('signet_issuance_duration_seconds', 'Time to issue a certificate, commit included.', DURATION_BUCKETS, ['operation']),
    commitBatch: histogram('signet_commit_batch_rows', 'Certificates in one group commit.', BATCH_BUCKETS),
    commitQueue: gauge('signet_commit_queue_length', 'Issuances waiting for a group commit.', [], 'sum'),
    ocspAnswers: counter('signet_ocsp_answers_total', 'OCSP answers.', ['status', 'source']),
    jobRuns: counter('signet_job_runs_total', 'Job runs that ended on this replica.', ['job', 'outcome']),
    jobDuration: histogram('signet_job_duration_seconds', 'Time a job run took.', JOB_BUCKETS, ['job']),
    rowsCleared: counter('signet_retention_rows_cleared_total', 'Rows deleted by retention jobs on this replica.', ['job']),
    partitionsDropped: counter('signet_retention_partitions_dropped_total', 'Partitions of expired certificates dropped by this replica.', []),
    feedPosition: gauge('signet_feed_position', 'Number of the last feed row acted on.', [], 'min'),
    feedAge: gauge('signet_feed_position_age_seconds', 'Time since the database last confirmed the feed position.'),
    feedStreams: gauge('signet_feed_streams', 'Streams of the live feed that are open.', [], 'sum'),
    feedStreamsEnded: counter('signet_feed_streams_ended_total', 'Streams of the live feed that Signet ended, by reason.', ['reason']),
    feedEventsSent: counter('signet_feed_events_sent_total', 'Events written to streams of the live feed.', []),
    feedHeartbeats: counter('signet_feed_heartbeats_total', 'Heartbeats of the live feed that were signed.', []),
    logLeaves: counter('signet_audit_log_leaves_total', 'Audit events hashed into the tree of the log by this replica.', []),
    logCheckpoints: counter('signet_audit_log_checkpoints_total', 'Checkpoints of the audit log signed by this replica.', []),
    authorityNotAfter: gauge('signet_authority_not_after_timestamp_seconds', 'notAfter of the authority certificates, seconds since 1970.', ['kind', 'authority']),
    connections: counter('signet_connections_total', 'Connections accepted.', ['door']),
    openConnections: gauge('signet_connections_open', 'Connections open now.', ['door'], 'sum'),
    tlsHandshakes: counter('signet_tls_handshakes_total', 'TLS handshakes, by outcome (full, resumed, failed).', ['door', 'outcome']),
    databaseConnections: gauge('signet_database_connections', 'Connections to the database, by state (in-use, idle).', ['pool', 'state'], 'sum'),
    databaseWaiting: gauge('signet_database_waiting', 'Statements waiting for a connection to the database.', ['pool'], 'sum'),
    workersKilled: gauge('signet_workers_killed', 'Workers that hung and were killed, since the replica started.'),
    logLinesDropped: sampledCounter('signet_log_lines_dropped_total', 'Log lines that nobody took in time.'),
    cluster: {
      certificates: clusterGauge('signet_cluster_certificates', 'Unexpired certificates, by state (good, held, revoked).', ['state']),
      countedAt: clusterGauge('signet_cluster_certificates_counted_timestamp_seconds', 'When certificates were last counted, seconds since 1970.'),
      certificatesEver: clusterGauge('signet_cluster_certificates_ever', 'Certificates issued, renewed and expired since the counting began.', ['event']),
      jobLastSuccess: clusterGauge('signet_cluster_job_last_success_timestamp_seconds', 'End of the last successful run on any replica, seconds since 1970.', ['job']),
      crlThisUpdate: clusterGauge('signet_cluster_crl_this_update_timestamp_seconds', 'thisUpdate of the oldest published list of an issuer, seconds since 1970.', ['issuer']),
      crlNextUpdate: clusterGauge('signet_cluster_crl_next_update_timestamp_seconds', 'Nearest nextUpdate of the published lists of an issuer, seconds since 1970.', ['issuer']),
      crlNumber: clusterGauge('signet_cluster_crl_number', 'Number of the complete list.', ['issuer']),
      crlEntries: clusterGauge('signet_cluster_crl_entries', 'Entries of the complete list.', ['issuer']),
      feedEnd: clusterGauge('signet_cluster_feed_end', 'Number of the newest feed row.'),
      enforcementLag: clusterGauge('signet_cluster_enforcement_lag_seconds', 'Age of the oldest event that a live enforcement point has not acknowledged.'),
      auditEnd: clusterGauge('signet_cluster_audit_end', 'Number of the newest audit event.'),
      partitionDaysAhead: clusterGauge('signet_cluster_partition_days_ahead', 'Days from today on that have a partition.'),
      issuanceStops: clusterGauge('signet_cluster_issuance_stops', 'Stops of issuing in force, by kind (everything, issuer, profile).', ['kind']),
      killsUnfinished: clusterGauge('signet_cluster_kills_unfinished', 'Kills and resumes of kills that are not done.'),
      logRunning: clusterGauge('signet_cluster_audit_log_running', 'Whether the audit log signs checkpoints (1) or has stopped (0).'),
      logSize: clusterGauge('signet_cluster_audit_log_size', 'Audit events in the tree of the log.'),
      logLag: clusterGauge('signet_cluster_audit_log_lag_seconds', 'Age of the oldest audit event that no checkpoint covers.'),
      logWitnesses: clusterGauge('signet_cluster_audit_log_witnesses', 'Witnesses of the audit log, by state (cosigning, failing, ahead).', ['state']),
    },
    onScrape: (metric, sample) => void samplers.set(metric, sample),
    registry: Registry.merge([registry, ofCluster]),
    contentType: registry.contentType,
    snapshot: () => snapshotOf(registry, options.worker),
    async text(others = []) {
      const own = others.length === 0 && options.worker === undefined ? registry : AggregatorRegistry.aggregate([await snapshotOf(registry, options.worker), ...others]);
      return `${await own.metrics()}\n${await ofCluster.metrics()}`;
    },
  };
}

/**
 * Counts carry the number of their worker. Summed over workers they would fall when one ends, which Prometheus takes for a restart and counts all
 * that is left a second time; apart, each series only ever begins anew.
 */
async function snapshotOf(registry: Registry, worker: number | undefined): Promise<MetricsSnapshot> {
  const metrics = await registry.getMetricsAsJSON();
  if (worker === undefined) return metrics;
  return metrics.map((metric) => {
    // What prom-client leaves out of a sum can be told apart here by its label.
    const aggregator = metric.aggregator === 'omit' ? 'first' : metric.aggregator;
    if (!COUNTS.has(String(metric.type))) return { ...metric, aggregator };
    return { ...metric, aggregator, values: metric.values.map((value) => ({ ...value, labels: { ...value.labels, worker: String(worker) } })) };
  });
}

const COUNTS: ReadonlySet<string> = new Set(['counter', 'histogram', 'summary']);
