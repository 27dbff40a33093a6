/** One start of the service, measured from end to end. */
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit, type AuditFigures } from './audit.ts';
import { crl, type CrlFigures } from './crl.ts';
import type { CryptoFloor, CsrSupply } from './csrs.ts';
import { openDatabase, type Stored } from './database.ts';
import { feed, type FeedFigures } from './feed.ts';
import { flat, type FlatStep } from './flat.ts';
import { issuance, issueOne, type IssuanceFigures } from './issuance.ts';
import { ocsp, serialsOfOcsp, type OcspFigures } from './ocsp.ts';
import { kill, type KillFigures } from './kill.ts';
import { residentMb } from './processes.ts';
import { renewal, type RenewalFigures } from './renewal.ts';
import { startService } from './service.ts';
import type { Sizes, Stage } from './stage.ts';
import { serialsOfStatus, status, type StatusFigures } from './status.ts';

/** How long a started service is left alone before its memory is read. */
const IDLE_MS = 4_000;
const CRL_WAIT_MS = 300_000;

/** What is measured beside issuance, which is always there: the others need its certificates. */
export const SCENARIOS = ['renewal', 'ocsp', 'status', 'kill', 'feed', 'audit', 'crl', 'flat', 'relying-party'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** Those that need certificates put in by SQL. */
const ASKING: readonly Scenario[] = ['ocsp', 'status', 'crl', 'flat'];

export interface RunOptions {
  dataDir: string;
  workers: number;
  sizes: Sizes;
  scenarios: readonly Scenario[];
  profileDir: string | undefined;
  csrs: CsrSupply;
  floor: CryptoFloor;
  /** Distinct serials that earlier runs over the same data folder were answered. */
  answered: Set<string>;
}

export interface Run {
  workers: number;
  workerPids: number[];
  readyMs: number;
  idleRssMb: number[];
  issuance: IssuanceFigures;
  renewal: RenewalFigures | undefined;
  ocsp: OcspFigures | undefined;
  status: StatusFigures | undefined;
  kill: KillFigures | undefined;
  feed: FeedFigures | undefined;
  audit: AuditFigures | undefined;
  crl: CrlFigures | undefined;
  flat: FlatStep[] | undefined;
  stored: Stored;
  /** Distinct serials in 2xx answers, of this run and those before it. */
  answered: number;
}

/** Starts, measures, counts, stops. The serials it was answered are added to `answered`. */
export async function measureRun(options: RunOptions): Promise<Run> {
  const { csrs, floor, sizes, scenarios, answered } = options;
  const service = await startService(options);
  try {
    const database = await openDatabase(service.databaseUrls);
    const stage: Stage = { service, database, csrs, floor, sizes };
    await sleep(IDLE_MS);
    const idleRssMb = service.workers.map(residentMb);
    const agents = await database.insertAgents(sizes.agents);
    const asks = scenarios.some((scenario) => ASKING.includes(scenario));
    // Before issuance is measured, so that it is over a table of that size.
    const first = asks ? await issueOne(stage, agents) : [];
    const like = asks ? await likenessOf(stage, first[0]?.chain ?? '') : undefined;
    const grown = like && scenarios.includes('flat') ? await flat(stage, like) : undefined;
    const seeded = like ? await seed(stage, like, grown?.at(-1)?.certificates ?? 0) : undefined;
    const issued = await issuance(stage, agents);
    for (const { serial } of [...first, ...issued.enrolled]) answered.add(serial);
    const renewed = scenarios.includes('renewal') ? await renewal(stage, issued.enrolled) : undefined;
    for (const serial of renewed?.serials ?? []) answered.add(serial);
    // One certificate an agent: of the first round over the agents, the half that the other does not take.
    const half = agents.length / 2;
    const told = scenarios.includes('feed') && sizes.subscribers > 0 ? await feed(stage, issued.enrolled.slice(0, half)) : undefined;
    const killed = scenarios.includes('kill') && sizes.kills > 0 ? await kill(stage, issued.enrolled.slice(half, 2 * half), agents.slice(0, half)) : undefined;
    for (const serial of killed?.serials ?? []) answered.add(serial);
    const logged = scenarios.includes('audit') && sizes.auditIssuances > 0 ? await audit(stage, agents.slice(0, half), agents.slice(half)) : undefined;
    for (const serial of logged?.serials ?? []) answered.add(serial);
    const statusSerials = serialsOfStatus(sizes);
    const run: Run = {
      workers: options.workers,
      workerPids: service.workers,
      readyMs: service.readyMs,
      idleRssMb,
      issuance: issued.figures,
      renewal: renewed?.figures,
      ocsp: seeded && scenarios.includes('ocsp') ? await ocsp(stage, { issuer: seeded.issuer, serials: seeded.serials.slice(statusSerials) }) : undefined,
      status: seeded && scenarios.includes('status') ? await status(stage, seeded.serials.slice(0, statusSerials)) : undefined,
      kill: killed?.figures,
      feed: told,
      audit: logged?.figures,
      crl: seeded && scenarios.includes('crl') ? await crl(stage, { issuerId: seeded.issuerId, serials: seeded.serials.slice(-sizes.revocations), levels: levelsOf(sizes), waitMs: CRL_WAIT_MS }) : undefined,
      flat: grown,
      stored: await database.stored(),
      answered: answered.size,
    };
    await database.close();
    return run;
  } finally {
    await service.stop();
  }
}

/** Numbers of revoked certificates that lists are measured at. */
const levelsOf = ({ revoked, revokedSome, revokedMany }: Sizes): number[] => (revoked > 0 ? [revoked] : [revokedSome, revokedMany]);

interface Seeded {
  issuer: X509Certificate;
  issuerId: string;
  /** Good ones. */
  serials: Buffer[];
}

/** What certificates that no request makes look like: the first one that was issued. `chain`: leaf and issuer, PEM. */
async function likenessOf({ database }: Stage, chain: string): Promise<{ issuer: X509Certificate; issuerId: string; der: Buffer }> {
  const [leaf, issuer] = chain.split(/(?=-----BEGIN)/).map((pem) => new X509Certificate(pem));
  if (!leaf || !issuer) throw new Error('an answer came without its chain');
  const [stored] = await database.query<{ issuerId: string }>('SELECT issuer_id AS "issuerId" FROM certificates WHERE fingerprint = decode($1, \'hex\')', [leaf.fingerprint256.replaceAll(':', '')]);
  if (!stored) throw new Error('an answered certificate is not stored');
  return { issuer, issuerId: stored.issuerId, der: leaf.raw };
}

/** Certificates to ask about, put in by SQL beside the `there` that were put in before. */
async function seed({ database, sizes }: Stage, like: Awaited<ReturnType<typeof likenessOf>>, there: number): Promise<Seeded> {
  const keep = serialsOfStatus(sizes) + serialsOfOcsp(sizes);
  const serials = await database.insertCertificates({ count: Math.max(sizes.certificates - there, keep + sizes.revoked), revoked: sizes.revoked, keep }, like);
  await database.settle('certificates');
  return { issuer: like.issuer, issuerId: like.issuerId, serials };
}

/** What makes the figures worthless; empty when nothing does. `keysUsed`: distinct keys that the load has sent. */
export function faultsOf(run: Run, keysUsed: number): string[] {
  const { stored, answered, issuance, workers, workerPids } = run;
  const served = Object.entries(issuance.served);
  return [
    ...(stored.serials === answered && stored.audits === answered ? [] : [`answers ${answered}, distinct serials ${stored.serials}, audit rows ${stored.audits}: not the same`]),
    ...(stored.keys === answered && keysUsed === answered ? [] : [`answers ${answered}, keys stored ${stored.keys}, keys sent ${keysUsed}: not each used once`]),
    ...Object.entries(stored.durability).flatMap(([setting, value]) => (value === 'on' ? [] : [`${setting} is ${value}`])),
    ...(new Set(workerPids).size === workers ? [] : [`${workers} workers were asked for, ${new Set(workerPids).size} processes are there`]),
    ...(workerPids.every((pid) => (issuance.served[String(pid)] ?? 0) > 0) && served.length === workers ? [] : [`not every worker has served: ${JSON.stringify(issuance.served)}`]),
    ...Object.entries(run.ocsp ?? {}).flatMap(([name, { ofSource }]) => (ofSource >= 0.95 ? [] : [`OCSP ${name}: only ${(ofSource * 100).toFixed(1)} % of the answers came from there`])),
  ];
}
