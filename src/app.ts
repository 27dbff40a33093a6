/** The composition root: the only place that constructs. Reads top-down: database → first start → context → followers → jobs → doors. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from './core/clock.ts';
import { StartupError } from './core/errors.ts';
import { createGuardedFetch } from './core/guarded-fetch.ts';
import type { Logger } from './core/log.ts';
import { createMetrics } from './core/metrics.ts';
import { createSystemRandom } from './core/random.ts';
import { alone, type Siblings } from './core/siblings.ts';
import { auditCopyDirOf, crlCopyDirOf } from './config/load.ts';
import type { Config } from './config/schema.ts';
import type { Context } from './context.ts';
import { forgetCredentials } from './admins/announce.ts';
import { createAdminTokens } from './admins/tokens.ts';
import { ensureBootstrapToken } from './admin/bootstrap-token.ts';
import { programVersion } from './admin/program-version.ts';
import { fileBarriers } from './admin/fault-barriers.ts';
import { releaseStartMemory } from './admin/start-memory.ts';
import { assertNotSetBack, noteSetBack, noteWhereTablesAre } from './admin/world-check.ts';
import { keepWorldFile } from './admin/world-file.ts';
import { ensureLog } from './audit/log.ts';
import { runSequencer } from './audit/run-sequencer.ts';
import type { Step } from './audit/sequence.ts';
import { createWitnesses } from './audit/witnesses.ts';
import { bootstrapAuthority } from './authorities/bootstrap.ts';
import { openAuthorities } from './authorities/open-authorities.ts';
import { connect, type Db } from './db/client.ts';
import { failureOf, SERVICE_ROLE, startEmbedded, type EmbeddedAccess } from './db/embedded.ts';
import { migrate } from './db/migrate.ts';
import { ensurePartitions } from './db/partitions.ts';
import { createJoinTokenQueue } from './db/join-tokens.ts';
import { createPresentationQueue } from './db/presented.ts';
import { ensureServiceRole, isSingleRole, roleOf } from './db/roles.ts';
import { withStartLock } from './db/start-lock.ts';
import { readStatusRows } from './db/status.ts';
import { sampleMetrics } from './http/sampled-metrics.ts';
import { openDoors, type Doors } from './http/server.ts';
import type { TlsMaterial } from './http/tls.ts';
import { createCommitQueue } from './issuance/commit-queue.ts';
import { runAtStart } from './jobs/run-at-start.ts';
import { startJobs } from './jobs/start-jobs.ts';
import { createLimits } from './limits/limits.ts';
import { openKeyStore, resolveKek, type OpenKeyStore } from './keystore/index.ts';
import { loadProfiles, ProfileError, type Profiles } from './profiles/profile.ts';
import { createPinnedCertificates } from './relying-parties/pinned-certificates.ts';
import { createCrlCopies } from './revocation/crl/crl-copies.ts';
import { createCrlPublisher } from './revocation/crl/publisher.ts';
import { createCrlStore } from './revocation/crl/crl-store.ts';
import { followFeed } from './revocation/follower.ts';
import { createAcknowledgementQueue } from './revocation/live/acknowledgements.ts';
import { createLiveFeed } from './revocation/live/live-feed.ts';
import { createOcspResponder } from './revocation/ocsp/responder.ts';
import { createRevocationSignals, type ChangedCertificate } from './revocation/signals.ts';
import { createStatusReader } from './revocation/status-reader.ts';
import { bucketOf } from './x509/serial.ts';

/** How long a start waits for lists that were never published. */
const FIRST_LISTS_MS = 5_000;

/** What is known of a Signet once it serves. */
export interface Started {
  addresses: Doors['addresses'];
  /** SHA-256 of the first root, colon-separated upper-case hexadecimal, as openssl prints it. */
  rootFingerprint: string;
  database: 'embedded' | 'given';
  /** The first admin token, when this process made it. */
  bootstrap: { file: string | undefined; token: string | undefined };
}

/** A running replica: one process, or a supervisor with its workers. */
export interface Replica extends Started {
  /** Resolves with a reason when something it cannot do without has ended by itself. */
  failed: Promise<string>;
  /** Drains: requests under way are answered, jobs end, the database stops last. */
  stop(): Promise<void>;
}

/** One process that serves. */
export interface App extends Replica {
  /** From now on it runs the jobs and publishes the lists. Once is enough. */
  lead(): Promise<void>;
}

/** The place of a process in its replica. */
export interface Place {
  siblings: Siblings;
  /** Makes the first start, runs the jobs and publishes the lists: one process of a replica does. */
  leads: boolean;
  /** The embedded database, where the supervisor runs it. */
  embedded: EmbeddedAccess | undefined;
}

const ALONE: Place = { siblings: alone, leads: true, embedded: undefined };

/** Opens everything. @throws StartupError with what to do; what was opened until then is closed again */
export async function startApp(config: Config, warnings: readonly string[], log: Logger, place: Place = ALONE): Promise<App> {
  const closers: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    return await open({ config, warnings, log, place }, closers, stop);
  } catch (error) {
    await stop().catch((later: unknown) => log.error({ err: later }, 'could not close after a failed start'));
    throw error;
  }
}

interface Opening {
  config: Config;
  warnings: readonly string[];
  log: Logger;
  place: Place;
}

async function open({ config, warnings, log, place }: Opening, closers: (() => Promise<unknown>)[], stop: () => Promise<void>): Promise<App> {
  const { siblings } = place;
  const clock = systemClock;
  const random = createSystemRandom();
  const metrics = createMetrics({ processMetrics: true, version: programVersion(), ...(siblings.workers > 1 ? { worker: siblings.number } : {}) });
  const barrier = fileBarriers(config.faultBarriersDir);
  const profiles = readProfiles(config);
  const warned = [...warnings];

  const own = config.databaseUrl === undefined && !place.embedded ? await startEmbedded({ dataDir: config.dataDir, log }) : undefined;
  if (own) closers.push(() => own.stop());
  const embedded = own ?? place.embedded;
  const urls = databaseUrls(config, embedded);
  const connection = { statementTimeoutMs: config.statementTimeoutMs };
  const db = connect(urls.service, { ...connection, maxConnections: config.databaseConnections, applicationName: 'signet' });
  closers.push(() => db.$disconnect());
  const ownerDb = urls.owner === urls.service ? db : connect(urls.owner, { ...connection, maxConnections: 2, applicationName: 'signet-owner' });
  if (ownerDb !== db) closers.push(() => ownerDb.$disconnect());

  const needs = { config, clock, random, log, db, ownerDb, urls, embedded };
  const first = place.leads ? await withStartLock(urls.owner, () => firstStart(needs)) : await laterStart(needs);
  if (await isSingleRole(db)) warned.push('the database role of the service owns the audit table and could change it: give SIGNET_OWNER_DATABASE_URL and a second role');
  if (place.leads) for (const warning of warned) log.warn(warning);

  const world = await keepWorldFile({ db, dataDir: config.dataDir, log });
  closers.push(() => world.close());
  const authorities = await openAuthorities({ db, keyStore: first.keyStore, clock, log, metrics, listenUrl: urls.listen });
  closers.push(() => authorities.close());
  const signals = createRevocationSignals();
  siblings.on('certificates-changed', (changed) => signals.changed(changed as ChangedCertificate[]));
  const feed = await followFeed({ db, signals, clock, log, metrics }, urls.listen);
  closers.push(() => feed.stop());
  const liveFeed = createLiveFeed({ db, feed, authorities, clock, log, metrics, config, workers: siblings.workers });
  closers.push(() => liveFeed.close());
  const statuses = createStatusReader({ readRows: (serials) => readStatusRows(db, serials), signals, feed, clock, config });
  const copies = createCrlCopies(crlCopyDirOf(config), log);
  closers.push(() => copies.close());
  const crls = createCrlStore({ db, clock, log, copies, siblings });
  const publisher = createCrlPublisher({ db, authorities, clock, random, barrier, config, signals, crls, log });
  closers.push(() => publisher.close());
  const adminTokens = createAdminTokens({ db, clock });
  const pinnedCertificates = createPinnedCertificates({ db, clock });
  siblings.on('credential-changed', () => forgetCredentials({ adminTokens, pinnedCertificates }));
  const ctx: Context = {
    config, db, ownerDb, keyStore: first.keyStore, sealer: first.sealer, authorities, profiles, signals,
    adminTokens, pinnedCertificates,
    commits: createCommitQueue({ db, log, metrics, barrier, config }),
    joinTokens: createJoinTokenQueue({ db, config }),
    presentations: createPresentationQueue({ db, config }),
    limits: createLimits({ config, clock, metrics, siblings }),
    feed, liveFeed, statuses,
    acknowledgements: createAcknowledgementQueue({ db, feed }),
    ocsp: createOcspResponder({ authorities, statuses, signals, feed, clock, log, metrics, config }),
    crls, publisher, clock, random, log, metrics, barrier, siblings,
  };

  sampleMetrics(ctx);
  let work: RunningWork | undefined;
  closers.push(async () => work?.stop());
  const lead = async () => {
    if (work) return;
    work = startWork(ctx);
    await publisher.start();
  };
  if (place.leads) {
    await runAtStart(ctx);
    await publisher.start();
    // Lists that cannot be published now are tried again in the background; they do not keep the doors shut.
    await Promise.race([publisher.idle(), sleep(FIRST_LISTS_MS, undefined, { ref: false })]);
  }
  releaseStartMemory();
  if (place.leads) work = startWork(ctx);
  const doors = await openDoors(ctx, { tls: await tlsMaterial(ctx), warnings: warned });
  closers.push(() => doors.close());
  authorities.subscribe(() => onAuthorityChange(ctx, doors));
  // What changed while the doors were being opened.
  onAuthorityChange(ctx, doors);

  return {
    addresses: doors.addresses,
    rootFingerprint: fingerprintOf(ctx),
    database: embedded ? 'embedded' : 'given',
    bootstrap: first.bootstrap,
    failed: Promise.race([
      failureOf(own),
      feed.setBack.then(async ({ says, isLoss }) => {
        if (isLoss) await noteSetBack(ctx, says);
        return says;
      }),
    ]),
    lead,
    async stop() {
      doors.startDraining();
      await stop();
    },
  };
}

/** What one process of a replica does beside serving: the jobs, and the audit log. */
interface RunningWork {
  stop(): Promise<void>;
}

function startWork(ctx: Context): RunningWork {
  const witnesses = createWitnesses({ ...ctx, fetch: createGuardedFetch(ctx.config.outgoingHttp) });
  let last: Step = { did: 'nothing' };
  const offer = (step: Step): void => {
    if (step.checkpoint) last = step;
    if (last.log && last.checkpoint) witnesses.offer(last.log, last.checkpoint);
  };
  const running = [startJobs(ctx), runSequencer({ ...ctx, copyDir: auditCopyDirOf(ctx.config) }, offer), witnesses];
  return { stop: async () => void (await Promise.all(running.map((one) => one.stop()))) };
}

interface FirstStart {
  config: Config;
  clock: Context['clock'];
  random: Context['random'];
  log: Logger;
  db: Db;
  ownerDb: Db;
  urls: { owner: string; service: string };
  embedded: EmbeddedAccess | undefined;
}

/** Under the start lock: the schema, the service's rights, partitions, the key-encryption key, the authority, the audit log, the first admin token. Each step is idempotent. */
async function firstStart(needs: FirstStart): Promise<OpenKeyStore & { bootstrap: App['bootstrap'] }> {
  const { config, clock, random, log, db, ownerDb, urls, embedded } = needs;
  const applied = await migrate(urls.owner);
  if (applied.length > 0) log.info({ applied }, 'migrations applied');
  if (embedded) await ensureServiceRole(urls.owner, { name: SERVICE_ROLE, password: embedded.servicePassword });
  else if (urls.owner !== urls.service) await ensureServiceRole(urls.owner, { name: await roleOf(urls.service) });
  await assertNotSetBack({ config, db, ownerDb, log });
  const today = bucketOf(clock.now());
  await ensurePartitions(ownerDb, today, today + config.partitionDaysAhead);
  const store = await openKeyStore({ db, random, clock, log }, resolveKek(config, embedded !== undefined));
  await bootstrapAuthority({ config, db, keyStore: store.keyStore, clock, random, log });
  await ensureLog({ config, db, keyStore: store.keyStore, clock, random, copyDir: auditCopyDirOf(config) }, { actor: { kind: 'system', id: 'first-start' }, requestId: null, source: null });
  await noteWhereTablesAre({ db, ownerDb });
  const { file, token } = await ensureBootstrapToken({ db, clock, random, config });
  return { ...store, bootstrap: { file, token } };
}

/** Where another process of this replica has made the first start. */
async function laterStart({ config, clock, random, log, db, ownerDb, embedded }: FirstStart): ReturnType<typeof firstStart> {
  await assertNotSetBack({ config, db, ownerDb, log });
  const store = await openKeyStore({ db, random, clock, log }, resolveKek(config, embedded !== undefined));
  return { ...store, bootstrap: { file: undefined, token: undefined } };
}

function databaseUrls(config: Config, embedded: EmbeddedAccess | undefined): { owner: string; service: string; listen: string } {
  if (embedded) return { owner: embedded.ownerUrl, service: embedded.serviceUrl, listen: embedded.serviceUrl };
  if (config.databaseUrl === undefined) throw new StartupError('DATABASE_URL is not given');
  return { owner: config.ownerDatabaseUrl ?? config.databaseUrl, service: config.databaseUrl, listen: config.listenDatabaseUrl ?? config.databaseUrl };
}

function readProfiles(config: Config): Profiles {
  if (config.profilesFile === undefined) return loadProfiles(undefined);
  try {
    return loadProfiles(JSON.parse(readFileSync(config.profilesFile, 'utf8')));
  } catch (error) {
    const why = error instanceof ProfileError || error instanceof SyntaxError ? error.message : 'it cannot be read';
    throw new StartupError(`the profiles file ${config.profilesFile} is not usable:\n${why}`, 78, error);
  }
}

async function tlsMaterial(ctx: Pick<Context, 'authorities' | 'keyStore'>): Promise<TlsMaterial> {
  const { tls } = ctx.authorities.snapshot();
  if (!tls) throw new StartupError('there is no TLS certificate; the authority was not set up whole', 70);
  return { key: await ctx.keyStore.exportPrivateKey(tls.keyId), chainPem: tls.certificateChainPem };
}

/** Another TLS certificate is shown from the next handshake on; the lists of a new issuer are published at once. */
function onAuthorityChange(ctx: Context, doors: Doors): void {
  tlsMaterial(ctx).then(
    (tls) => doors.updateTls(tls),
    (error: unknown) => ctx.log.error({ err: error }, 'the new TLS certificate could not be taken into use'),
  );
  ctx.publisher.kickStale().catch((error: unknown) => ctx.log.warn({ err: error }, 'the lists of a changed authority wait for the job'));
}

function fingerprintOf(ctx: Pick<Context, 'authorities'>): string {
  const [root] = ctx.authorities.snapshot().roots;
  return root ? createHash('sha256').update(root.der).digest('hex').toUpperCase().replace(/(..)(?=.)/g, '$1:') : '';
}
