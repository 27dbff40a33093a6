/** The table people read. */
import type { AuditLogFigures } from './audit-log.ts';
import type { AuditFigures } from './audit.ts';
import type { FlatStep } from './flat.ts';
import { SHARDS, STEP_CA_MS, type CrlFigures } from './crl.ts';
import type { FeedFigures } from './feed.ts';
import type { RelyingPartyFigures } from './relying-party.ts';
import type { KillFigures } from './kill.ts';
import type { Figures } from './measure.ts';
import { STATUS_BATCH } from './status.ts';
import type { Run } from './run.ts';
import type { VerifyFigures } from './verify.ts';

const COLUMNS = ['', 'n', 'op/s', 'p50 ms', 'p99 ms', 'service µs', 'postgres µs', 'load µs', 'floor µs', 'service ÷ floor', '+ postgres'] as const;

const rounded = (value: number, digits: number): string => value.toFixed(digits);

function row(name: string, { operations, perSecond, p50Ms, p99Ms, cpu, floor, timesFloor }: Figures): string[] {
  const micros = [cpu.service, cpu.postgres, cpu.load, floor].map((value) => rounded(value, 0));
  return [name, String(operations), rounded(perSecond, 0), rounded(p50Ms, 1), rounded(p99Ms, 1), ...micros, rounded(timesFloor.service, 1), rounded(timesFloor.serviceAndPostgres, 1)];
}

function table(rows: readonly (readonly string[])[]): string {
  const all = [COLUMNS, ...rows];
  const widths = COLUMNS.map((_, column) => Math.max(...all.map((cells) => (cells[column] ?? '').length)));
  return all.map((cells) => cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')).join('\n');
}

/** Against the first step, each by the floor of its own time. */
function flatLines(steps: readonly FlatStep[]): string[] {
  const [first] = steps;
  return steps.map(({ certificates, micros, floor }) => {
    const names = Object.entries(micros).map(([name, value]) => {
      const times = first === undefined ? 1 : value / floor / ((first.micros[name] ?? 0) / first.floor);
      return `${name} ${rounded(value, 0)} µs (× ${rounded(times, 2)})`;
    });
    return `over ${certificates} certificates, CPU of service and PostgreSQL: ${names.join(', ')}`;
  });
}

const killLines = ({ points, kills, refusalMs, lastMs, answerMs, issuedPerSecond, partitioned }: KillFigures): string[] => [
  `kill to refusal, as a prober saw it: ${kills} kills, ${points} enforcement points on two replicas, ${rounded(issuedPerSecond, 0)} issuances/s: p50 ${rounded(refusalMs.p50, 0)} ms, p99 ${rounded(refusalMs.p99, 0)} ms; to the last point p50 ${rounded(lastMs.p50, 0)} ms, highest ${rounded(lastMs.max, 0)} ms; the kill was answered after p50 ${rounded(answerMs.p50, 0)} ms, highest ${rounded(answerMs.max, 0)} ms`,
  `an enforcement point that was cut off refused after ${rounded(partitioned.seconds, 1)} s: ${partitioned.why}`,
];

const feedLines = ({ subscribers, extraRssMb, cores, postgresCores, revocations }: FeedFigures): string[] => {
  const share = (value: number) => `${rounded(value * 100, 0)} %`;
  return [
    `live feed, ${subscribers} readers at one replica: ${rounded(extraRssMb, 0)} MB more resident memory; of a core ${share(cores.listening)} while they listen (${share(cores.alone)} before), ${share(cores.revoking)} at 10 revocations a second (PostgreSQL ${share(postgresCores)}); each of ${revocations} told to everyone, in order`,
  ];
};

export const describeVerify = ({ cold, warm, knownIssuer, batch }: VerifyFigures): string =>
  `path of three P-256 certificates, CPU: everything read anew ${rounded(cold, 0)} µs, issuers known ${rounded(warm, 0)} µs; a leaf whose issuer is the anchor ${rounded(knownIssuer, 0)} µs; signet verify --batch, start included: ${rounded(batch.perSecond, 0)} paths/s, ${rounded(batch.cpuMicros, 0)} µs of CPU each`;
const auditLines = ({ append, sustained, lagMs, byLabel }: AuditFigures): string[] => {
  const { eventsPerSecond, requestsPerSecond, eventsARequest, issuedPerSecond, p50Ms, p99Ms, cores } = sustained;
  return [
    `audit, append an event, CPU of the process that does: ${rounded(append.encode, 1)} µs its bytes; with the statement, of many in a transaction, ${rounded(append.hot, 1)} µs past Prisma (kills, issuance) and ${rounded(append.batched, 1)} µs with it; ${rounded(append.single, 0)} µs of one alone`,
    `audit, sustained: ${rounded(eventsPerSecond, 0)} events/s that are no issuance (agents suspended and resumed, ${rounded(requestsPerSecond, 0)} requests/s, ${rounded(eventsARequest, 1)} events each, p50 ${rounded(p50Ms, 1)} ms, p99 ${rounded(p99Ms, 1)} ms) ` +
      `beside ${rounded(issuedPerSecond, 0)} issuances/s; ${rounded(cores.service, 2)} cores in the service, ${rounded(cores.postgres, 2)} in PostgreSQL`,
    `audit, from an event to the checkpoint that covers it: p50 ${rounded(lagMs.p50, 0)} ms, p99 ${rounded(lagMs.p99, 0)} ms`,
    `audit, by the thousand: ${rounded(byLabel.eventsPerSecond, 0)} events/s (${byLabel.agents} agents killed by their label and resumed, ${byLabel.orders} orders, ${rounded(byLabel.eventsAnOrder, 0)} events each) ` +
      `beside ${rounded(byLabel.issuedPerSecond, 0)} issuances/s; ${rounded(byLabel.cores.service, 2)} cores in the service, ${rounded(byLabel.cores.postgres, 2)} in PostgreSQL`,
  ];
};

/** Figures of one start of the service. */
export function describeRun(run: Run): string {
  const { issuance, renewal, ocsp, status } = run;
  const rows = [
    row('issuance, full rate', issuance.full),
    row('issuance, half rate', issuance.half),
    ...(renewal ? [row('renewal, new connection each', renewal.renewal), row('trivial, new connection each', renewal.connection), row('trivial, keep-alive', renewal.trivial)] : []),
    ...Object.entries(ocsp ?? {}).map(([name, figures]) => row(`OCSP ${name}`, figures)),
    ...Object.entries(status ?? {}).map(([name, figures]) => row(`status ${name}${name.startsWith('batch') ? ` of ${STATUS_BATCH}` : ''}`, figures)),
  ];
  const shares = Object.entries(issuance.full.shares).map(([pid, share]) => `${pid} ${rounded(share * 100, 0)} %`);
  const lines = [
    `${run.workers} worker${run.workers === 1 ? '' : 's'} (pids ${run.workerPids.join(', ')}), ready in ${rounded(run.readyMs, 0)} ms, idle RSS of a worker ${run.idleRssMb.map((mb) => rounded(mb, 0)).join(' and ')} MB`,
    table(rows),
    `certificates a group commit: ${rounded(issuance.batchRows.full, 1)} at full rate, ${rounded(issuance.batchRows.half, 1)} at half rate${renewal ? `, ${rounded(renewal.batchRows, 1)} of renewals` : ''}`,
    `issuance: CPU by process of the service ${shares.join(', ')}; certificates by worker ${Object.entries(issuance.served).map(([pid, count]) => `${pid} ${count}`).join(', ')}`,
    ...(renewal ? [`renewal: handshake ${rounded(renewal.handshake, 0)} µs, after it ${rounded(renewal.afterHandshake, 0)} µs = ${rounded(renewal.afterHandshakeTimesFloor, 1)} × floor`] : []),
    ...(run.crl ? describeLists(run.crl) : []),
    ...(run.kill ? killLines(run.kill) : []),
    ...(run.feed ? feedLines(run.feed) : []),
    ...(run.audit ? auditLines(run.audit) : []),
    ...flatLines(run.flat ?? []),
    ...(ocsp ? [`OCSP: answers that came from where they should ${Object.entries(ocsp).map(([name, { ofSource }]) => `${name} ${rounded(ofSource * 100, 1)} %`).join(', ')}`] : []),
  ];
  return lines.join('\n');
}

function describeLists({ shards, complete }: CrlFigures): string[] {
  const peers = Object.entries(STEP_CA_MS).map(([revoked, ms]) => `${ms} ms at ${revoked}`).join(', ');
  const { entries, megabytes, seconds, cpuSeconds, rssMb, blockedMs } = complete;
  return [
    ...shards.map(({ revoked, operations, p50Ms, p99Ms }) => `revoke with its shard stored, ${revoked} revoked in ${SHARDS} shards: p50 ${rounded(p50Ms, 1)} ms, p99 ${rounded(p99Ms, 1)} ms of ${operations} (step-ca, all in one list: ${peers})`),
    `complete CRL: ${entries} entries, ${rounded(megabytes, 1)} MB, built and stored in ${rounded(seconds, 2)} s; CPU ${rounded(cpuSeconds.service, 2)} s in the service, ${rounded(cpuSeconds.postgres, 2)} s in PostgreSQL; ` +
      `RSS of the process that built it ${rounded(rssMb.before, 0)} MB before, ${rounded(rssMb.peak, 0)} MB at most; its event loop blocked for ${rounded(blockedMs, 0)} ms at most`,
  ];
}

export function describeAuditLog({ events, sequencer, inclusion, consistency, verify }: AuditLogFigures): string {
  const both = ({ service, postgres }: { service: number; postgres: number }, digits: number) => `${rounded(service, digits)} (and PostgreSQL ${rounded(postgres, digits)})`;
  return `tree over ${events} audit events, CPU: sequencer ${both(sequencer, 1)} µs an event; proof of inclusion ${both(inclusion, 2)} ms, of consistency ${both(consistency, 2)} ms; signet audit verify over the database ${both(verify, 1)} s, ${rounded(verify.rssMb, 0)} MB resident at most`;
}

export const describeRelyingParty = ({ revoked, addedRssMb, plainMicros, guardedMicros, requests }: RelyingPartyFigures): string =>
  `relying party SDK, ${revoked} serials revoked: ${rounded(addedRssMb, 0)} MB more resident memory; a request on a kept connection ${rounded(guardedMicros, 0)} µs CPU, ${rounded(plainMicros, 0)} without it (${requests} requests, in turns)`;
