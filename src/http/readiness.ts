import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { endingAdmins, endlessCredentials } from '../admins/ending.ts';
import type { Context } from '../context.ts';
import { auditLogView } from '../db/views/audit-log.ts';
import { idleKills, stopsInForce } from '../db/views/kills.ts';
import { clusterSince, databaseClock, jobHealth, partitionDaysAhead, pingDatabase, untimelyLists, wornLists, type ListState } from '../db/views/readiness.ts';
import { dailyTimes, longestGapMs } from '../jobs/cron.ts';
import { daysAhead } from '../jobs/partitions.ts';
import { JOBS } from '../jobs/schedule.ts';
import { bucketOf } from '../x509/serial.ts';
import { atMostOnceIn, within } from './bounded.ts';
import type { ProcessState } from './handler.ts';
import type { WorkerReadiness } from './replica.ts';

type Looked = Omit<WorkerReadiness, 'worker'>;

/** Finds nothing wrong, or says what is. A rejection or no answer in time is `failed`. */
type Check = (ctx: Context, now: Date) => Promise<readonly string[]>;

/**
 * THE list of checks. `essential`: without it this replica cannot serve, and is to be taken out of service. Everything else only warns, because every replica
 * shares it and the others would be taken out with this one, or because what it can still do (revoke, answer status) is worth more (docs/operations.md).
 */
const CHECKS: Readonly<Record<string, { essential: boolean; check: Check }>> = {
  database: { essential: true, check: (ctx) => pingDatabase(ctx.db).then(nothing) },
  keyStore: { essential: true, check: (ctx) => ctx.keyStore.check().then(nothing) },
  clock: { essential: true, check: clock },
  issuer: { essential: false, check: issuer },
  lists: { essential: false, check: lists },
  listLife: { essential: true, check: listLife },
  feed: { essential: false, check: feed },
  jobs: { essential: false, check: jobs },
  partitions: { essential: false, check: partitions },
  authorities: { essential: false, check: authorities },
  adminTokens: { essential: false, check: adminTokens },
  disk: { essential: false, check: disk },
  keyEncryptionKey: { essential: false, check: keyEncryptionKey },
  kills: { essential: false, check: kills },
  auditLog: { essential: false, check: auditLog },
};

/** Each check's time. Probes time out after a second or three: a hanging part must not make the whole look dead. Milliseconds. */
const CHECK_MS = 900;
/** Probes from many sides cost one look in this time. Milliseconds. */
const REUSE_MS = 1_000;
const MS_PER_DAY = 86_400_000;
const nothing = (): readonly string[] => [];

/** One look a process, shared by all probes. */
const looks = new WeakMap<Context, () => Promise<Looked>>();

/** What this worker can say of itself: asked by probes as often as they like. */
export async function readinessHere(ctx: Context, process: ProcessState): Promise<WorkerReadiness> {
  const look = looks.get(ctx) ?? atMostOnceIn(REUSE_MS, () => ctx.clock.monotonicMs(), () => runChecks(ctx));
  looks.set(ctx, look);
  const { isReady, checks, warnings } = await look();
  return {
    worker: ctx.siblings.number,
    isReady: isReady && !process.draining,
    checks: { process: process.draining ? 'shutting down' : 'ok', ...checks },
    warnings: [...process.warnings, ...warnings],
  };
}

async function runChecks(ctx: Context): Promise<Looked> {
  const now = ctx.clock.now();
  const results = await Promise.all(
    Object.entries(CHECKS).map(async ([name, { essential, check }]) => {
      // What failed is in the log of whoever failed; here only that it did.
      const found = await within(CHECK_MS, check(ctx, now)).catch(() => undefined);
      const outcome = found === undefined ? 'failed' : found.length > 0 ? 'warning' : 'ok';
      return { name, outcome, warnings: found ?? [], isFatal: essential && outcome !== 'ok' };
    }),
  );
  return {
    isReady: !results.some(({ isFatal }) => isFatal),
    checks: Object.fromEntries(results.map(({ name, outcome }) => [name, outcome])),
    warnings: results.flatMap(({ warnings }) => warnings),
  };
}

/**
 * The database's clock is the one that all replicas see. One that is off by more than is tolerated of presented certificates would issue what nobody accepts yet, or what has ended
 * already: better that the others serve.
 */
async function clock({ db, clock: own, config }: Context): Promise<readonly string[]> {
  const beganMs = own.monotonicMs();
  const theirs = await databaseClock(db);
  const offMs = Math.abs(own.now().getTime() - theirs.getTime()) - (own.monotonicMs() - beganMs);
  return offMs > config.clockSkewSeconds * 1000 ? [`the clock of this machine and that of the database are ${Math.round(offMs / 1000)} s apart (clockSkewSeconds is ${config.clockSkewSeconds}): set them by NTP`] : [];
}

async function adminTokens(ctx: Context, now: Date): Promise<readonly string[]> {
  return [await endingAdmins(ctx, now), await endlessCredentials(ctx)].filter((warning) => warning !== undefined);
}

async function issuer(ctx: Context): Promise<readonly string[]> {
  return Promise.resolve(ctx.authorities.snapshot().active).then(nothing);
}

/** A list may be late by half an interval before anybody is told. */
const LIST_MARGIN = 1.5;
const LISTS_NAMED = 3;

async function lists({ db, config }: Context, now: Date): Promise<readonly string[]> {
  const limits = { publishedBefore: new Date(now.getTime() - LIST_MARGIN * config.crlIntervalSeconds * 1000), beginsAfter: new Date(now.getTime() + config.clockSkewSeconds * 1000) };
  const found = await untimelyLists(db, limits, LISTS_NAMED);
  return found.map(({ issuerId, shard, isComplete, thisUpdate, nextUpdate }) => {
    const name = nameOf({ issuerId, shard, isComplete });
    if (thisUpdate === null || nextUpdate === null) return `${name} was never published: relying parties that ask for it refuse every certificate`;
    // The next one begins no earlier: a list is never older than the one before.
    if (thisUpdate > now) return `${name} begins at ${thisUpdate.toISOString()}: relying parties refuse it until then; a clock was ahead when it was published`;
    if (nextUpdate <= now) return `${name} ended at ${nextUpdate.toISOString()}: relying parties that check it refuse every certificate`;
    return `${name} is late: published at ${thisUpdate.toISOString()}, valid until ${nextUpdate.toISOString()}`;
  });
}

const nameOf = ({ issuerId, shard, isComplete }: Pick<ListState, 'issuerId' | 'shard' | 'isComplete'>): string => `the ${isComplete ? 'complete list' : `list of shard ${shard}`} of issuer ${issuerId}`;

/**
 * A list past half its life, or not there after that time, makes every replica unready though all share it: nobody can publish, relying parties will refuse every
 * certificate when it ends, and half of a life is left to act.
 */
async function listLife({ db, config }: Context, now: Date): Promise<readonly string[]> {
  const worn = await wornLists(db, now, config.crlValiditySeconds, LISTS_NAMED);
  return worn.map(({ nextUpdate, ...list }) => (nextUpdate === null ? `${nameOf(list)} is still to be published` : `${nameOf(list)} is past half its life, which ends at ${nextUpdate.toISOString()}: see job publish-crls`));
}

/** Longer than a lost notification, a slow database or one of its restarts. */
const FEED_AGE_MAX_MS = 10_000;

function feed(ctx: Context): Promise<readonly string[]> {
  const ageMs = ctx.feed.positionAgeMs();
  return Promise.resolve(ageMs > FEED_AGE_MAX_MS ? [`the revocation feed was last confirmed ${Math.round(ageMs / 1000)} s ago: every status is asked of the database`] : []);
}

/** Runs that must all have failed, and intervals a job may miss. */
const FAILED_RUNS = 3;
const MISSED_INTERVALS = 3;
const JOB_MARGIN_MS = 600_000;

async function jobs({ db }: Context, now: Date): Promise<readonly string[]> {
  const health = new Map((await jobHealth(db, JOBS.map(({ name }) => name), FAILED_RUNS)).map((one) => [one.job, one]));
  const since = (await clusterSince(db)) ?? now;
  return JOBS.flatMap((job) => {
    const { name, cron } = job;
    const { outcomes = [], lastSuccessAt = null } = health.get(name) ?? {};
    if (outcomes.length === FAILED_RUNS && outcomes.every((outcome) => outcome === 'failed')) return [`the last ${FAILED_RUNS} runs of job ${name} failed: see GET /v1/jobs`];
    // One that runs only when something is due has no date to keep.
    const allowedMs = MISSED_INTERVALS * longestGapMs(dailyTimes(cron)) + JOB_MARGIN_MS;
    const isOverdue = job.isDue === undefined && now.getTime() - (lastSuccessAt ?? since).getTime() > allowedMs;
    return isOverdue ? [`job ${name} has not succeeded since ${(lastSuccessAt ?? since).toISOString()}`] : [];
  });
}

async function partitions(ctx: Context, now: Date): Promise<readonly string[]> {
  const [there, wanted] = [await partitionDaysAhead(ctx.db, bucketOf(now)), daysAhead(ctx)];
  // Today and tomorrow may pass before the job is seen to fail; what a leaf may need must be there.
  if (there >= wanted) return [];
  return [`certificates have partitions for ${there} days from today on, and ${wanted} are wanted: what expires later cannot be issued; see job partitions`];
}

/** An issuer whose successor should be at work since half of the time set for it; anything else whose renewal is long due. */
function authorities(ctx: Context, now: Date): Promise<readonly string[]> {
  const { config } = ctx;
  const snapshot = ctx.authorities.snapshot();
  const { roots, activeRoot, issuing, tls } = snapshot;
  const days = (end: Date) => Math.floor((end.getTime() - now.getTime()) / MS_PER_DAY);
  const warn = (what: string, end: Date, limitDays: number, next: string) => (days(end) < limitDays ? [`${what} ends at ${end.toISOString()}: ${next}`] : []);
  const active = issuing.filter(({ state }) => state === 'active');
  return Promise.resolve([
    ...roots.filter((root) => root === activeRoot).flatMap((root) => warn(`root ${root.id}`, root.notAfter, config.issuerValidityDays, 'it ends too soon to carry another issuer: signet authority rollover-root')),
    ...active.flatMap((one) => warn(`issuer ${one.id}`, one.notAfter, config.issuerActivateBeforeDays / 2, 'no successor issues yet; see job rotate-issuers')),
    ...active.flatMap((one) => {
      const responder = snapshot.responderFor(one.id);
      return responder === undefined ? [`issuer ${one.id} has no OCSP responder`] : warn(`the OCSP responder of issuer ${one.id}`, responder.notAfter, config.responderValidityDays / 4, 'see job rotate-responders');
    }),
    ...(tls === undefined ? [] : warn("Signet's own TLS certificate", tls.notAfter, config.tlsValidityDays / 4, 'see job rotate-tls')),
  ]);
}

/** A kill that is not done so long after its last step: nobody finishes it. Seconds. */
const KILL_IDLE_SECONDS = 60;

/** Somebody meant it; whoever wonders why nothing is issued finds it here. */
async function kills({ db }: Context): Promise<readonly string[]> {
  const stopped = (await stopsInForce(db)).map(({ kind, target, cause, createdAt }) => `issuing is stopped for ${kind === 'everything' ? kind : `${kind} ${target}`} since ${createdAt.toISOString()} (${cause})`);
  const idle = (await idleKills(db, KILL_IDLE_SECONDS)).map(({ id }) => `kill ${id} is not done: certificates that it covers may still be called good; see job finish-kills`);
  return [...stopped, ...idle];
}

/** A checkpoint comes each second; a backlog after an upgrade takes longer. Milliseconds. */
const LOG_LAG_MAX_MS = 30_000;

async function auditLog({ db, config }: Context, now: Date): Promise<readonly string[]> {
  const view = await auditLogView(db);
  if (!view) return ['there is no audit log: one begins at the next start'];
  const { log, uncoveredSince, witnesses } = view;
  if (log.state === 'stopped') return [`the audit log has STOPPED since ${log.changedAt.toISOString()}, and signs nothing more: ${log.reason ?? ''} (docs/audit-log.md)`];
  const lagMs = uncoveredSince ? now.getTime() - uncoveredSince.getTime() : 0;
  const names = config.auditWitnesses.map(({ vkey }) => vkey.split('+')[0]);
  return [
    ...(lagMs > LOG_LAG_MAX_MS ? [`no checkpoint of the audit log covers what happened since ${uncoveredSince?.toISOString()}`] : []),
    ...witnesses.filter(({ name, state }) => names.includes(name) && state !== 'cosigning').map(({ name, state, problem }) => `witness ${name} is ${state}: ${problem ?? ''}`),
  ];
}

async function disk({ config }: Context): Promise<readonly string[]> {
  // Without a database of its own a replica need not have the folder.
  if (config.databaseUrl !== undefined) return [];
  const { bavail, bsize } = await statfs(config.dataDir);
  return bavail * bsize < config.diskFreeMinBytes ? [`${config.dataDir} has ${Math.floor((bavail * bsize) / 1_048_576)} MiB left`] : [];
}

/** What seals the keys should not lie where a copy of the sealed keys is taken from. */
function keyEncryptionKey({ config }: Context): Promise<readonly string[]> {
  const file = config.kekFile ?? config.kekPassphraseFile ?? path.join(config.dataDir, 'kek');
  const isBesideData = config.databaseUrl === undefined && !path.relative(config.dataDir, path.resolve(file)).startsWith('..');
  return Promise.resolve(isBesideData ? ['the key-encryption key lies beside the database it seals: whoever copies the data directory has both. Give SIGNET_KEK_FILE from another place'] : []);
}
