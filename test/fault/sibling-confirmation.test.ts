/** A replica of two workers: what was acknowledged by one is not denied by the other, even where the other learns of it by its slowest way only. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient, jsonOf, type Client } from '../support/https-client.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { ok } from '../support/fault/fleet.ts';
import { readList } from '../support/fault/judge.ts';
import { discardProgram, mutatedProgram } from '../support/fault/mutations.ts';
import { ocspRequestsOf, ocspStatusIn } from '../support/ocsp.ts';
import { databaseUrl } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';
import { workersOf } from '../support/workers.ts';

const LONG = 90_000;
const CERTIFICATES = 16;
/** Of those, left for the list; the first one for a worker that stands still. */
const TO_BE_LISTED = 2;
const LISTED_MS = 15_000;
/** Connections are handed out in turn: so many of each door reach every worker. */
const CONNECTIONS = 4;

let database: TestDatabase;
let service: Service;
let serials: string[];
let ocsp: Asker[];
let status: Asker[];
let admins: Client[];

interface Asker {
  door: string;
  ask: (serial: string) => Promise<string>;
}

const times = <T>(make: (index: number) => T): T[] => Array.from({ length: CONNECTIONS }, (_, index) => make(index));

beforeAll(async () => {
  database = await testDatabase();
  // NOTIFY of another database: the feed is learned of by the poll alone, twice a second, and only confirmation is quicker.
  const env = { SIGNET_WORKERS: '2', SIGNET_LOG_LEVEL: 'info', SIGNET_LISTEN_DATABASE_URL: databaseUrl(database.serviceUrl, 'postgres') };
  service = await startService({ database, program: mutatedProgram(), env });
  const { urls, rootPem: ca, adminToken: token } = service.signet;
  admins = times(() => createClient({ url: urls.api, ca, token, connections: 1 }));
  const agent = await service.register();
  const identities = await Promise.all(Array.from({ length: CERTIFICATES }, () => service.enrolled(agent)));
  serials = identities.map(({ serial }) => serial);
  const requestFor = ocspRequestsOf(identities[0]?.chain ?? '');
  ocsp = times((index) => {
    const client = createClient({ url: urls.status, connections: 1 });
    const ask = async (serial: string) => ocspStatusIn((await client.send('POST', '/ocsp', { bytes: requestFor(serial), headers: { 'content-type': 'application/ocsp-request' } })).body, serial);
    return { door: `OCSP, connection ${index}`, ask };
  });
  status = admins.map((client, index) => ({
    door: `status, connection ${index}`,
    ask: async (serial: string) => jsonOf<{ status: string }>(ok(await client.send('GET', `/v1/status/${serial}`))).status,
  }));
}, LONG);
afterAll(async () => {
  for (const client of admins) client.close();
  await service.close();
  discardProgram();
  await database.drop();
});

const saidBy = async (askers: readonly Asker[], serial: string) => Promise.all(askers.map(async (asker) => ({ door: asker.door, said: await asker.ask(serial) })));
const denials = async (askers: readonly Asker[], serial: string) => (await saidBy(askers, serial)).filter(({ said }) => said === 'good');
const revoke = async (client: Client, serial: string) => ok(await client.send('POST', `/v1/certificates/${serial}/revoke`, { json: { reason: 'keyCompromise' } }));

test('a revocation acknowledged by one worker is never answered good by the other', async () => {
  // Twice: read once, then known by heart, on both.
  for (let round = 0; round < 2; round++) for (const serial of serials) for (const { said } of await saidBy([...ocsp, ...status], serial)) expect(said).toBe('good');
  const counted = (await createClient({ url: service.signet.urls.operations }).send('GET', '/metrics')).body.toString();
  for (const worker of [1, 2]) expect(counted).toMatch(new RegExp(`signet_ocsp_answers_total{status="good",source="cache",worker="${worker}"} [1-9]`));

  const denied: object[] = [];
  for (const [index, serial] of serials.slice(1, -TO_BE_LISTED).entries()) {
    await revoke(admins[index % CONNECTIONS] as Client, serial);
    denied.push(...(await denials([...ocsp, ...status], serial)));
  }
  expect(denied).toEqual([]);
}, LONG);

test('a token revoked through one worker is refused by the other at once', async () => {
  const { id, token } = jsonOf<{ id: string; token: string }>(ok(await service.admin.send('POST', '/v1/admin-tokens', { json: { name: 'short-lived', role: 'admin' } })));
  const { urls, rootPem: ca } = service.signet;
  const holders = times(() => createClient({ url: urls.api, ca, token, connections: 1 }));
  const answers = () => Promise.all(holders.map(async (holder) => (await holder.send('GET', '/v1/agents')).status));
  try {
    expect(await answers()).toEqual(times(() => 200));
    ok(await service.admin.send('POST', `/v1/admin-tokens/${id}/revoke`));
    expect(await answers()).toEqual(times(() => 401));
  } finally {
    for (const holder of holders) holder.close();
  }
}, LONG);

test('the numbers of a list never go back, whichever worker is asked', async () => {
  const { items } = jsonOf<{ items: { id: string; kind: string; state: string }[] }>(ok(await service.admin.send('GET', '/v1/authorities')));
  const issuer = items.find(({ kind, state }) => kind === 'issuing' && state === 'active');
  const askers = times(() => createClient({ url: service.signet.urls.status, connections: 1 }));
  const numbers: number[] = [];
  const asked = new Set(serials.slice(-TO_BE_LISTED));
  try {
    for (const deadline = performance.now() + LISTED_MS; performance.now() < deadline && asked.size > 0; ) {
      for (const asker of askers) {
        const { number, serials: listed } = readList(ok(await asker.send('GET', `/crl/${issuer?.id}/complete.crl`)).body);
        numbers.push(Number(number));
        // The next one is revoked when the last one is seen.
        const [next] = asked;
        if (next === undefined) continue;
        if (listed.has(next)) asked.delete(next);
        else await revoke(admins[0] as Client, next);
      }
    }
    expect(asked.size).toBe(0);
    for (let once = 0; once < 2; once++) for (const asker of askers) numbers.push(Number(readList((await asker.send('GET', `/crl/${issuer?.id}/complete.crl`)).body).number));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  } finally {
    for (const asker of askers) asker.close();
  }
}, LONG);

test('a worker that stands still does not keep a revocation from being acknowledged, and does not call it good when it goes on', async () => {
  const [serial = ''] = serials;
  const [, { pid: still }] = workersOf(service.signet) as [unknown, { pid: number }];
  for (const { said } of await saidBy(ocsp, serial)) expect(said).toBe('good');
  process.kill(still, 'SIGSTOP');
  let asked: Promise<object[]>;
  try {
    // Some of these connections are the other worker's.
    const moving = await Promise.any(admins.map(async (client) => (ok(await client.send('GET', '/v1/agents')), client)));
    await revoke(moving, serial);
    asked = denials(ocsp, serial);
    await sleep(100);
  } finally {
    process.kill(still, 'SIGCONT');
  }
  expect(await asked).toEqual([]);
  for (const { said } of await saidBy([...ocsp, ...status], serial)) expect(said).toBe('revoked');
}, LONG);
