/** One Signet, the built program, over a database of its own, with the ordinary requests to it: what tests of bad input compare a refusal with. */
import type { RegisterAgentBody } from '../../src/api/agents.ts';
import type { CreateJoinTokenBody } from '../../src/api/join-tokens.ts';
import { testDatabase, type TestDatabase } from './db.ts';
import { identityOf, ok, type Identity } from './fault/fleet.ts';
import { makeKeyAndCsr, type KeyAndCsr } from './fault/keys.ts';
import { createClient, jsonOf, type Client, type Reply } from './https-client.ts';
import { startSignet, type SignetOptions, type SignetProcess } from './signet-process.ts';

export { identityOf, type Identity };

type Registration = Partial<RegisterAgentBody>;
type EnrollBody = Record<string, unknown>;

export interface Service {
  database: TestDatabase;
  signet: SignetProcess;
  /** The API door as an administrator. */
  admin: Client;
  /** The API door without a credential. */
  open: Client;
  /** The status door. */
  status: Client;
  /** The mutual TLS door, a connection for each request; without an identity no certificate is shown. */
  mtls(identity?: { chain: string; key: string }): Client;
  /** Registers an agent with an owner, and returns its id. */
  register(changes?: Registration): Promise<string>;
  joinToken(agentId: string, body?: CreateJoinTokenBody): Promise<string>;
  /** POST /v1/certificates as JSON; `csr` is DER, or text as it is. */
  enroll(token: string, csr: Buffer | string, more?: EnrollBody): Promise<Reply>;
  /** POST /v1/certificates/renew as JSON. */
  renew(identity: { chain: string; key: string } | undefined, csr: Buffer | string, more?: EnrollBody): Promise<Reply>;
  /** A new instance of `agentId`, or of a new agent. */
  enrolled(agentId?: string, pair?: KeyAndCsr): Promise<Identity>;
  /** A POST without anything to say, as an administrator, that must succeed. */
  order(path: string, json?: object): Promise<Reply>;
  /** Stops it. @throws Error when it logged a fault of its own, other than `expected` ones: what clients send never is one */
  close(expected?: RegExp): Promise<void>;
}

let sequence = 0;
const POOL = 4;

/** A hundred bad requests with one join token are what these tests are made of. */
const ONE_TOKEN_FOR_ALL = { SIGNET_JOIN_TOKEN_ISSUE_RATE: '0' };

/** Starts one; `database` in the options is used instead of a new one, and is then the caller's to drop. */
export async function startService(options: SignetOptions = {}): Promise<Service> {
  const database = options.database ?? (await testDatabase());
  const signet = await startSignet({ ...options, database, env: { ...ONE_TOKEN_FOR_ALL, SIGNET_LOG_LEVEL: 'warn', ...options.env } });
  return serviceOf(signet, database, async () => {
    if (!options.database) await database.drop();
  });
}

function serviceOf(signet: SignetProcess, database: TestDatabase, dropDatabase: () => Promise<void>): Service {
  const { urls, rootPem: ca } = signet;
  const admin = createClient({ url: urls.api, ca, token: signet.adminToken, connections: POOL });
  const open = createClient({ url: urls.api, ca, connections: POOL });
  const status = createClient({ url: urls.status, connections: POOL });

  const service: Service = {
    database,
    signet,
    admin,
    open,
    status,
    mtls: (identity) => createClient({ url: urls.mtls, ca, ...(identity && { identity }) }),
    async register(changes = {}) {
      const json = { name: `agent-${++sequence}`, purpose: 'testing', ownerEmail: 'owner@example.com', ...changes };
      return jsonOf<{ id: string }>(ok(await admin.send('POST', '/v1/agents', { json }))).id;
    },
    joinToken: async (agentId, json = {}) => jsonOf<{ token: string }>(await service.order(`/v1/agents/${agentId}/join-tokens`, json)).token,
    enroll: (token, csr, more) => open.send('POST', '/v1/certificates', { json: { csr: textOf(csr), ...more }, headers: { authorization: `Bearer ${token}` } }),
    renew: (identity, csr, more) => service.mtls(identity).send('POST', '/v1/certificates/renew', { json: { csr: textOf(csr), ...more } }),
    async enrolled(agentId, pair = makeKeyAndCsr()) {
      const token = await service.joinToken(agentId ?? (await service.register()));
      return identityOf(await service.enroll(token, pair.csr), pair);
    },
    order: async (path, json = {}) => ok(await admin.send('POST', path, { json })),
    async close(expected) {
      for (const client of [admin, open, status]) client.close();
      await signet.stop();
      await dropDatabase();
      const fault = faultIn(signet, expected);
      if (fault !== undefined) throw new Error(`Signet logged a fault of its own:\n${fault}`);
    },
  };
  return service;
}

const textOf = (csr: Buffer | string): string => (typeof csr === 'string' ? csr : csr.toString('base64'));

/** The first record of level error or worse. */
const faultIn = (signet: SignetProcess, expected: RegExp | undefined): string | undefined =>
  (signet.stdout() + signet.stderr()).split('\n').find((line) => /"level":"(error|fatal)"/.test(line) && expected?.test(line) !== true);
