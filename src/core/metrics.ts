import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What this process counts, as Prometheus metrics. States are counted where they change, never by counting rows at a scrape. */
export interface Metrics {
  /** Certificates handed out by enrollment, by profile. */
  readonly issued: Counter<'profile'>;
  /** Certificates handed out by renewal, by profile. */
  readonly renewed: Counter<'profile'>;
  /** Certificates revoked, by CRLReason name. */
  readonly revoked: Counter<'reason'>;
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
  /** Answered requests. `route` is the pattern of the route table, never the path that was asked for. */
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
  readonly crlNumber: Gauge<'issuer' | 'shard'>;
  readonly crlEntries: Gauge<'issuer' | 'shard'>;
  /** thisUpdate and nextUpdate, seconds since 1970: `time() - signet_crl_this_update_seconds` is the age of the list. */
  readonly crlThisUpdate: Gauge<'issuer' | 'shard'>;
  readonly crlNextUpdate: Gauge<'issuer' | 'shard'>;
  /** Runs of jobs that ended, by outcome (succeeded, failed). */
  readonly jobRuns: Counter<'job' | 'outcome'>;
  /** End of a job's last successful run seen by this process, seconds since 1970. */
  readonly jobLastSuccess: Gauge<'job'>;
  /** Number of the last feed row this process has acted on. */
  readonly feedPosition: Gauge;
  /** notAfter of the certificates of the authority, seconds since 1970. */
  readonly authorityNotAfter: Gauge<'kind' | 'authority'>;
  /** Media type of `text()`. */
  readonly contentType: string;
  /** What this worker has counted, for another one to put beside its own. */
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

export interface MetricsOptions {
  /** Also measure the process itself (CPU, memory, event loop). Off in tests: it starts observers. */
  processMetrics: boolean;
  /** The number of this worker, where there are several: a label of what it counts, and of what is measured of the process itself. */
  worker?: number;
}

/** Metrics with a registry of their own, so that two services in one process (tests) do not meet. */
export function createMetrics(options: MetricsOptions = { processMetrics: false }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.processMetrics) collectDefaultMetrics({ register: registry, ...(options.worker === undefined ? {} : { labels: { worker: String(options.worker) } }) });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) => new Counter<L>({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = [], aggregator: Aggregation = 'max') =>
    new Gauge<L>({ name, help, labelNames, aggregator, registers });
  const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[] = []) =>
    new Histogram<L>({ name, help, labelNames, buckets, registers });
  return {
    issued: counter('signet_certificates_issued_total', 'Certificates issued by enrollment.', ['profile']),
    renewed: counter('signet_certificates_renewed_total', 'Certificates issued by renewal.', ['profile']),
    revoked: counter('signet_certificates_revoked_total', 'Certificates revoked.', ['reason']),
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
    crlNumber: gauge('signet_crl_number', 'Number of the newest list known to this process.', ['issuer', 'shard']),
    crlEntries: gauge('signet_crl_entries', 'Entries of the newest list.', ['issuer', 'shard']),
    crlThisUpdate: gauge('signet_crl_this_update_seconds', 'thisUpdate of the newest list, seconds since 1970.', ['issuer', 'shard']),
    crlNextUpdate: gauge('signet_crl_next_update_seconds', 'nextUpdate of the newest list, seconds since 1970.', ['issuer', 'shard']),
    jobRuns: counter('signet_job_runs_total', 'Job runs that ended.', ['job', 'outcome']),
    jobLastSuccess: gauge('signet_job_last_success_seconds', 'End of the last successful run, seconds since 1970.', ['job']),
    feedPosition: gauge('signet_feed_position', 'Number of the last feed row acted on, by the worker that is farthest behind.', [], 'min'),
    authorityNotAfter: gauge('signet_authority_not_after_seconds', 'notAfter of the authority certificates, seconds since 1970.', ['kind', 'authority']),
    contentType: registry.contentType,
    snapshot: () => snapshotOf(registry, options.worker),
    text: async (others = []) => (others.length === 0 && options.worker === undefined ? registry : AggregatorRegistry.aggregate([await snapshotOf(registry, options.worker), ...others])).metrics(),
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
