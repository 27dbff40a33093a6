/**
 * Two replicas over one database behind HAProxy, with the configuration of docs/proxies.md. One is killed in the middle of its work, comes back, and both are
 * restarted in turn: what was acknowledged is there, once; jobs go on; and a restart in order is seen by no client.
 */
import fs from 'node:fs';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { LEASE_SECONDS } from '../../src/jobs/run-exclusive.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { fileBarriersIn } from '../support/fault/barriers.ts';
import { identityOf, type Identity } from '../support/fault/fleet.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { outsideProgram, versionOf } from '../support/interop.ts';
import { installedProgram, startProxy, type OutsideProxy } from '../support/outside-proxies.ts';
import { runSql, temporaryFolder } from '../support/postgres.ts';
import { startSignet, type Ports, type SignetProcess } from '../support/signet-process.ts';

const LONG_MS = 240_000;
/** Agents at work at the same time. */
const LOOPS = 6;
const RETRY_MS = 50;
const GIVE_UP_MS = 60_000;
/** Longer than HAProxy's checks take to fail: 2 a second apart. */
const DRAIN_DELAY_SECONDS = 5;
/** Two lists come due in each; so often the other one may be first. */
const TURNS = 5;
/** Lists are published this often, so that there is always a job to run. */
const CRL_SECONDS = 10;

const binary = installedProgram('haproxy');
const haproxy = await outsideProgram({ name: 'haproxy (scale-out)', debianPackage: 'haproxy', must: false, version: async () => (binary === undefined ? undefined : versionOf(binary, ['-v'], /version (\S+)/)) });

interface Replica {
  dataDir: string;
  ports: Ports | undefined;
  process: SignetProcess;
}

let database: TestDatabase;
let replicas: [Replica, Replica];
let proxy: OutsideProxy;
let adminToken: string;
let rootPem: string;

/** All agents come from one address and register with one token here: limits are not what is tried. */
const NO_RATES = Object.fromEntries(['SOURCE_READ', 'SOURCE_CHANGE', 'SOURCE_ISSUE', 'SOURCE_STATUS', 'SOURCE_CONNECTION', 'CALLER_CHANGE', 'CALLER_STATUS'].map((name) => [`SIGNET_${name}_RATE`, '0']));

async function start({ dataDir, ports }: Pick<Replica, 'dataDir' | 'ports'>): Promise<SignetProcess> {
  const env = {
    ...NO_RATES,
    SIGNET_LOG_LEVEL: 'warn',
    SIGNET_DRAIN_DELAY_SECONDS: String(DRAIN_DELAY_SECONDS),
    SIGNET_CRL_INTERVAL_SECONDS: String(CRL_SECONDS),
    SIGNET_FAULT_BARRIERS_DIR: `${dataDir}/barriers`,
  };
  return startSignet({ database, dataDir, ports, env });
}

async function newReplica(): Promise<Replica> {
  const dataDir = temporaryFolder('signet-data-');
  fs.mkdirSync(`${dataDir}/barriers`);
  const process = await start({ dataDir, ports: undefined });
  return { dataDir, ports: process.ports, process };
}

/** Every lease that is ever taken, in the order of taking: the table itself keeps the last runner only. */
const KEEP_EVERY_RUN = `
  CREATE TABLE every_run (k bigserial PRIMARY KEY, job text, bucket timestamptz, holder text, attempt int, at timestamptz DEFAULT clock_timestamp());
  CREATE FUNCTION keep_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    INSERT INTO every_run (job, bucket, holder, attempt) VALUES (NEW.job, NEW.bucket, NEW.holder, NEW.attempts);
    RETURN NULL;
  END $$;
  CREATE TRIGGER keep_run AFTER INSERT OR UPDATE OF started_at ON job_runs FOR EACH ROW EXECUTE FUNCTION keep_run()`;

beforeAll(async () => {
  if (!haproxy.isHere) return;
  database = await testDatabase();
  await runSql(database.ownerUrl, KEEP_EVERY_RUN);
  replicas = [await newReplica(), await newReplica()];
  const [{ process: first }] = replicas;
  adminToken = first.adminToken;
  rootPem = first.rootPem;
  proxy = await startProxy({ program: 'haproxy', title: 'haproxy: passthrough', replicas: replicas.map(({ process }) => process.ports) });
}, LONG_MS);
afterAll(async () => {
  await proxy?.stop();
  for (const { process, dataDir } of replicas ?? []) {
    await process.stop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  }
  await database?.drop();
}, LONG_MS);

/** What the clients of a phase have seen. */
interface Seen {
  /** Of every certificate that was acknowledged: the serial. */
  acknowledged: string[];
  agents: string[];
  /** Requests that had to be made again, and why. */
  retried: string[];
}

/** Agents that register, enroll and renew through the proxy until told to stop. */
class Load {
  readonly seen: Seen = { acknowledged: [], agents: [], retried: [] };
  readonly #patient: boolean;
  #stopped = false;
  #loops: Promise<void>[] = [];
  #failure: unknown;

  /** `patient`: what failed without an answer, or with 503, is asked again, the same way. Otherwise it is an error. */
  constructor(patient: boolean) {
    this.#patient = patient;
  }

  start(): this {
    this.#loops = Array.from({ length: LOOPS }, (_, i) => this.#loop(`${i}-${Math.random().toString(36).slice(2)}`, i % 2 === 0 ? 1 : 0).catch((error: unknown) => void (this.#failure ??= error)));
    return this;
  }

  /** Until so many more certificates were acknowledged. */
  async more(count: number): Promise<void> {
    const goal = this.seen.acknowledged.length + count;
    for (const deadline = performance.now() + GIVE_UP_MS; this.seen.acknowledged.length < goal; await sleep(20)) {
      if (this.#failure !== undefined) throw this.#failure as Error;
      if (performance.now() > deadline) throw new Error(`only ${this.seen.acknowledged.length} of ${goal} certificates in ${GIVE_UP_MS / 1000} s`);
    }
  }

  async stop(): Promise<Seen> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    if (this.#failure !== undefined) throw this.#failure as Error;
    return this.seen;
  }

  /** Half of the agents keep their connections, the others make one for each request. */
  async #loop(name: string, connections: number): Promise<void> {
    const api = createClient({ url: `https://127.0.0.1:${proxy.ports.api}`, ca: rootPem, token: adminToken, connections });
    const open = createClient({ url: `https://127.0.0.1:${proxy.ports.api}`, ca: rootPem, connections });
    for (let round = 0; !this.#stopped; round++) {
      const key = `${name}-${round}`;
      const registration = { name: `scale-${key}`, purpose: 'testing', ownerEmail: 'owner@example.com' };
      const agent = jsonOf<{ id: string }>(await this.#ask(api, '/v1/agents', registration, { 'idempotency-key': `agent-${key}` }));
      this.seen.agents.push(agent.id);
      const token = jsonOf<{ token: string }>(await this.#ask(api, `/v1/agents/${agent.id}/join-tokens`, {}, { 'idempotency-key': `token-${key}` })).token;
      const pair = makeKeyAndCsr();
      const first = this.#acknowledge(identityOf(await this.#ask(open, '/v1/certificates', { csr: pair.csr }, { authorization: `Bearer ${token}` }), pair));
      const next = makeKeyAndCsr();
      const mtls = createClient({ url: `https://127.0.0.1:${proxy.ports.mtls}`, ca: rootPem, identity: first });
      this.#acknowledge(identityOf(await this.#ask(mtls, '/v1/certificates/renew', { csr: next.csr }), next));
    }
    api.close();
    open.close();
  }

  #acknowledge(identity: Identity): Identity {
    this.seen.acknowledged.push(identity.serial);
    return identity;
  }

  async #ask(client: Client, path: string, json: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    for (const deadline = performance.now() + GIVE_UP_MS; ; await sleep(RETRY_MS)) {
      const { reply, why } = await client.send('POST', path, { json, headers }).then(
        (reply) => ({ reply, why: `${reply.status} ${reply.body.toString('utf8')}` }),
        (error: unknown) => ({ reply: undefined, why: String(error) }),
      );
      if (reply?.status === 201) return reply;
      const mayPass = reply === undefined || reply.status === 503 || (reply.status === 409 && why.includes('idempotency-in-progress'));
      if (!this.#patient || !mayPass || performance.now() > deadline) throw new Error(`POST ${path}: ${why}`);
      this.seen.retried.push(why);
    }
  }
}

/** Certificates handed out by a replica itself, by its own count. */
async function issuedBy({ process }: Replica): Promise<number> {
  const text = (await createClient({ url: process.urls.operations }).send('GET', '/metrics')).body.toString('utf8');
  const counts = [...text.matchAll(/^signet_http_requests_total\{[^}]*route="\/v1\/certificates(?:\/renew)?"[^}]*status="201"[^}]*\} (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function untilServing(replica: Replica): Promise<void> {
  for (const deadline = performance.now() + GIVE_UP_MS; (await issuedBy(replica)) === 0; await sleep(100)) {
    if (performance.now() > deadline) throw new Error('the replica gets no requests');
  }
}

/** Everything acknowledged is there once, whole and good, and nothing else is. */
async function expectAllThere(all: readonly Seen[], at: Replica): Promise<void> {
  const acknowledged = all.flatMap((seen) => seen.acknowledged);
  expect(new Set(acknowledged).size).toBe(acknowledged.length);
  const [rows] = await database.ownerDb.$queryRawUnsafe<Record<string, number>[]>(`
    SELECT (SELECT count(*)::int FROM certificates) AS certificates, (SELECT count(DISTINCT serial)::int FROM certificates) AS serials,
      (SELECT count(*)::int FROM public_keys) AS keys, (SELECT count(*)::int FROM agents) AS agents, (SELECT count(*)::int FROM instances) AS instances,
      (SELECT count(DISTINCT serial)::int FROM audit_events WHERE kind IN ('certificate.issued', 'certificate.renewed')) AS audited,
      (SELECT count(*)::int FROM audit_events WHERE kind IN ('certificate.issued', 'certificate.renewed')) AS events`);
  const agents = new Set(all.flatMap((seen) => seen.agents)).size;
  const certificates = acknowledged.length;
  expect(rows).toEqual({ certificates, serials: certificates, keys: certificates, audited: certificates, events: certificates, agents, instances: agents });

  const client = createClient({ url: at.process.urls.api, ca: rootPem, token: adminToken });
  for (let from = 0; from < certificates; from += 500) {
    const reply = await client.send('POST', '/v1/status', { json: { serials: acknowledged.slice(from, from + 500) } });
    const { statuses } = jsonOf<{ statuses: { serial: string; status: string }[] }>(reply);
    expect(statuses.filter(({ status }) => status !== 'good')).toEqual([]);
    expect(statuses).toHaveLength(Math.min(500, certificates - from));
  }
}

interface Run {
  job: string;
  bucket: Date;
  holder: string;
  attempt: number;
  at: Date;
}
const runsOf = (job: string): Promise<Run[]> => database.ownerDb.$queryRawUnsafe<Run[]>(`SELECT job, bucket, holder, attempt, at FROM every_run WHERE job = '${job}' ORDER BY k`);
const allRuns = (): Promise<Run[]> => database.ownerDb.$queryRawUnsafe<Run[]>('SELECT job, bucket, holder, attempt, at FROM every_run ORDER BY k');

/** What all loads so far have seen. */
const seen: Seen[] = [];
async function stopped(load: Load): Promise<Seen> {
  const result = await load.stop();
  seen.push(result);
  return result;
}

haproxy.test('requests are spread over both replicas', async () => {
  const load = new Load(true).start();
  await load.more(100);
  expect((await stopped(load)).retried).toEqual([]);
  const counts = await Promise.all(replicas.map(issuedBy));
  for (const count of counts) expect(count).toBeGreaterThan(20);
  await expectAllThere(seen, replicas[0]);
});

haproxy.test('one is killed in the middle of load and of a job: nothing acknowledged is missing, nothing is there twice, and its jobs go on elsewhere', async () => {
  const [victim, survivor] = replicas;
  const barriers = fileBarriersIn(`${victim.dataDir}/barriers`);
  const load = new Load(true).start();
  // It takes the lease of a list to publish, and dies with it. Until it is its turn, the other one may publish.
  barriers.arm('crl:numbered');
  for (let turn = 1; turn < TURNS; turn++) if (await barriers.reached('crl:numbered').then(() => true, () => false)) break;
  await barriers.reached('crl:numbered');
  const [abandoned] = (await runsOf('publish-crls')).slice(-1);
  await load.more(50);
  const killedAt = Date.now();
  victim.process.kill('SIGKILL');
  await victim.process.exited;
  barriers.release('crl:numbered');
  await victim.process.stop();
  await load.more(150);

  // The next list is published by the survivor before the lease of the dead one is over.
  const successor = async () => (await runsOf('publish-crls')).find(({ holder, at }) => holder !== abandoned?.holder && at.getTime() > killedAt);
  while ((await successor()) === undefined && Date.now() < killedAt + (LEASE_SECONDS + CRL_SECONDS) * 1000) await sleep(200);
  expect(await successor()).toBeDefined();
  await load.more(50);
  expect((await stopped(load)).retried.length).toBeGreaterThan(0);
  await expectAllThere(seen, survivor);
});

haproxy.test('it comes back, and gets requests again', async () => {
  const [back] = replicas;
  back.process = await start(back);
  const load = new Load(true).start();
  await untilServing(back);
  await load.more(50);
  await stopped(load);
  await expectAllThere(seen, back);
});

haproxy.test('both are restarted in turn, and no client notices', async () => {
  const load = new Load(false).start();
  for (const replica of replicas) {
    await load.more(30);
    const exit = await replica.process.stop();
    expect(exit).toEqual({ code: 0, signal: null });
    replica.process = await start(replica);
    await untilServing(replica);
  }
  await load.more(30);
  expect((await stopped(load)).retried).toEqual([]);
  await expectAllThere(seen, replicas[1]);
});

haproxy.test('no job ever ran twice in a bucket, and both have run some', async () => {
  const runs = await allRuns();
  const perBucket = new Map<string, number>();
  for (const { job, bucket } of runs) perBucket.set(`${job} ${bucket.toISOString()}`, (perBucket.get(`${job} ${bucket.toISOString()}`) ?? 0) + 1);
  expect([...perBucket].filter(([, count]) => count > 1)).toEqual([]);
  expect(new Set(runs.map(({ holder }) => holder)).size).toBeGreaterThan(1);
});
