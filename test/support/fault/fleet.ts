import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, jsonOf, type Client, type Reply } from '../https-client.ts';
import { emptyDatabase, testDatabase, type TestDatabase } from '../db.ts';
import { temporaryFolder } from '../postgres.ts';
import { startSignet, type SignetProcess } from '../signet-process.ts';
import { fileBarriersIn, type Barriers } from './barriers.ts';
import { makeKeyAndCsr, type KeyAndCsr } from './keys.ts';
import { discardProgram, mutatedProgram, mutateDatabase } from './mutations.ts';
import { anyoneAtWork } from './sessions.ts';

/** One OS process of the built program. It may be killed and started again in the same place. */
export interface Replica {
  readonly process: SignetProcess;
  barriers: Barriers;
  /** The API door, as an admin. */
  readonly api: Client;
  /** The status door. */
  readonly status: Client;
  /** SIGKILL, and its end. */
  kill9(): Promise<void>;
  /** SIGSTOP, at a moment when it holds nothing in the database. */
  freeze(): Promise<void>;
  thaw(): void;
  /** On the same doors and data folder, with no step armed. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What an instance holds: its certificate with chain, its key, and what the answer said. */
export interface Identity {
  chain: string;
  key: string;
  serial: string;
  agentId: string;
  instanceId: string;
  generation: number;
}

/** Processes over one database, and the ordinary requests to them. */
export interface Fleet {
  database: TestDatabase;
  replicas: readonly [Replica, Replica];
  issuerId: string;
  adminToken: string;
  /** Files for programs that are not ours: `root.pem`, `issuer.pem`. */
  folder: string;
  register(): Promise<string>;
  joinToken(agentId: string): Promise<string>;
  /** A fresh instance of a fresh agent, enrolled at `at`. */
  enrolled(at: Replica): Promise<Identity>;
  close(): Promise<void>;
}

const BARRIERS = 'barriers';
const ADMIN_CONNECTIONS = 16;
const FREEZE_RETRY_MS = 20;

interface Doors {
  process: SignetProcess;
  api: Client;
  status: Client;
}

class RunningReplica implements Replica {
  readonly #database: TestDatabase;
  readonly #dataDir = temporaryFolder('signet-data-');
  readonly barriers = fileBarriersIn(path.join(this.#dataDir, BARRIERS));
  #token = '';
  #doors: Doors | undefined;

  constructor(database: TestDatabase) {
    this.#database = database;
  }

  get #open(): Doors {
    if (!this.#doors) throw new Error('the replica was never started');
    return this.#doors;
  }

  get process(): SignetProcess {
    return this.#open.process;
  }

  get api(): Client {
    return this.#open.api;
  }

  get status(): Client {
    return this.#open.status;
  }

  /** The admin token of the installation, or nothing when another process made it. */
  ownToken(): string | undefined {
    return fs.existsSync(path.join(this.#dataDir, 'bootstrap-admin-token')) ? this.process.adminToken : undefined;
  }

  useToken(token: string): void {
    this.#token = token;
    this.#connect(this.process);
  }

  #connect(process: SignetProcess): void {
    this.#close();
    const api = createClient({ url: process.urls.api, ca: process.rootPem, token: this.#token, connections: ADMIN_CONNECTIONS });
    this.#doors = { process, api, status: createClient({ url: process.urls.status }) };
  }

  #close(): void {
    this.#doors?.api.close();
    this.#doors?.status.close();
  }

  async start(): Promise<void> {
    const dir = path.join(this.#dataDir, BARRIERS);
    for (const file of fs.readdirSync(dir)) fs.rmSync(path.join(dir, file));
    this.#connect(
      await startSignet({
        database: this.#database,
        dataDir: this.#dataDir,
        ports: this.#doors?.process.ports,
        program: mutatedProgram(),
        env: { SIGNET_FAULT_BARRIERS_DIR: dir, SIGNET_LOG_LEVEL: 'warn' },
      }),
    );
  }

  async kill9(): Promise<void> {
    this.#close();
    this.process.kill('SIGKILL');
    await this.process.exited;
    // Off the list of processes to be stopped; there is nothing left to stop.
    await this.process.stop();
  }

  async freeze(): Promise<void> {
    for (;;) {
      this.#signal('SIGSTOP');
      if (!(await anyoneAtWork(this.#database))) return;
      this.#signal('SIGCONT');
      await sleep(FREEZE_RETRY_MS);
    }
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  /** To the process that was started, and to its workers if it has any. */
  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.process;
    const workers = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').map(Number).filter((child) => child > 0);
    for (const one of [pid, ...workers]) process.kill(one, signal);
  }

  async stop(): Promise<void> {
    this.#close();
    await this.#doors?.process.stop();
    fs.rmSync(this.#dataDir, { recursive: true, force: true });
  }
}

/** Starts two replicas at once; on a migrated database, or on one with nothing in it. */
export async function startFleet(from: 'migrated' | 'empty' = 'migrated'): Promise<Fleet> {
  const database = await (from === 'empty' ? emptyDatabase() : testDatabase());
  const replicas = [new RunningReplica(database), new RunningReplica(database)] as const;
  const folder = temporaryFolder('signet-fault-');
  const close = async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
    discardProgram();
    fs.rmSync(folder, { recursive: true, force: true });
    await database.drop();
  };
  try {
    const starts = await Promise.allSettled(replicas.map((replica) => replica.start()));
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    const adminToken = replicas.map((replica) => replica.ownToken()).find((token) => token !== undefined) ?? '';
    for (const replica of replicas) replica.useToken(adminToken);
    await mutateDatabase(database);
    return { database, replicas, folder, adminToken, close, ...(await authorityFiles(replicas[0], folder)), ...requests(replicas[0]) };
  } catch (error) {
    await close();
    throw error;
  }
}

async function authorityFiles(replica: Replica, folder: string): Promise<{ issuerId: string }> {
  const { items } = jsonOf<{ items: { id: string; kind: string; state: string; certificate: string }[] }>(ok(await replica.api.send('GET', '/v1/authorities')));
  const issuer = items.find(({ kind, state }) => kind === 'issuing' && state === 'active');
  if (!issuer) throw new Error('there is no active issuer');
  fs.writeFileSync(path.join(folder, 'issuer.pem'), issuer.certificate);
  fs.writeFileSync(path.join(folder, 'root.pem'), replica.process.rootPem);
  return { issuerId: issuer.id };
}

let sequence = 0;

function requests(operator: Replica): Pick<Fleet, 'register' | 'joinToken' | 'enrolled'> {
  const register = async () => {
    const json = { name: `fault-${++sequence}`, purpose: 'testing', ownerEmail: 'owner@example.com' };
    return jsonOf<{ id: string }>(ok(await operator.api.send('POST', '/v1/agents', { json }))).id;
  };
  const joinToken = async (agentId: string) => jsonOf<{ token: string }>(ok(await operator.api.send('POST', `/v1/agents/${agentId}/join-tokens`, { json: {} }))).token;
  return {
    register,
    joinToken,
    async enrolled(at) {
      const pair = makeKeyAndCsr();
      return identityOf(ok(await enroll(at, await joinToken(await register()), pair)), pair);
    },
  };
}

/** POST /v1/certificates with a join token. */
export async function enroll(at: Replica, token: string, { csr }: Pick<KeyAndCsr, 'csr'>): Promise<Reply> {
  const client = createClient({ url: at.process.urls.api, ca: at.process.rootPem, token });
  return client.send('POST', '/v1/certificates', { json: { csr } });
}

/** POST /v1/certificates/renew over mutual TLS. */
export async function renew(at: Replica, identity: Identity, { csr }: Pick<KeyAndCsr, 'csr'>): Promise<Reply> {
  const client = createClient({ url: at.process.urls.mtls, ca: at.process.rootPem, identity });
  return client.send('POST', '/v1/certificates/renew', { json: { csr } });
}

/** Any use of a certificate: its holder asks for its status over mutual TLS. */
export async function present(at: Replica, identity: Identity): Promise<Reply> {
  const client = createClient({ url: at.process.urls.mtls, ca: at.process.rootPem, identity });
  return client.send('GET', `/v1/status/${identity.serial}`);
}

/** The answer of an issuance as its asker keeps it. */
export function identityOf(reply: Reply, { key }: Pick<KeyAndCsr, 'key'>): Identity {
  const { certificate, chain, ...said } = jsonOf<Identity & { certificate: string }>(ok(reply));
  return { ...said, chain: certificate + chain, key };
}

/** The answer itself, when it is a success. */
export function ok(reply: Reply): Reply {
  if (reply.status < 200 || reply.status > 299) throw new Error(`answered ${reply.status}: ${reply.body.toString('utf8')}`);
  return reply;
}

/** In one word: the serial of a certificate handed out, or the code of the refusal. */
export function outcome(reply: Reply): string {
  const said = jsonOf<{ serial?: string; code?: string }>(reply);
  return said.serial ?? said.code ?? String(reply.status);
}
