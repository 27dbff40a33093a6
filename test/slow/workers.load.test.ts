/** Replicas of one and of two workers under load: told to stop, and with workers killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { CONFIG_KEYS, environmentName } from '../../src/config/schema.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { expectWhole } from '../support/fault/judge.ts';
import { makeKeyAndCsr, type KeyAndCsr } from '../support/fault/keys.ts';
import { rowsOf } from '../support/fault/sessions.ts';
import { startService, type Service } from '../support/service.ts';
import { workersOf } from '../support/workers.ts';

const LONG = 300_000;
/** Everything comes from one address here. */
const UNLIMITED = Object.fromEntries(CONFIG_KEYS.filter((key) => key.endsWith('Rate')).map((key) => [environmentName(key), '0']));
const CALLERS = 32;
/** Of an answer that does not come; another caller is long done by then. */
const HUNG_MS = 10_000;

/** One enrollment that somebody will ask for. */
interface Wanted {
  token: string;
  pair: KeyAndCsr;
}

let service: Service;
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await service.close(/a worker ended and is replaced/);
}, LONG);

async function start(workers: number, enrollments: number): Promise<{ agentId: string; wanted: Wanted[] }> {
  service = await startService({ env: { SIGNET_WORKERS: String(workers), SIGNET_LOG_LEVEL: 'info', ...UNLIMITED } });
  const agentId = await service.register();
  const wanted: Wanted[] = [];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (wanted.length < enrollments) wanted.push({ token: await service.joinToken(agentId), pair: makeKeyAndCsr() });
    }),
  );
  return { agentId, wanted };
}

/** What became of a request: the serial of the certificate it was answered with, or why there is none. */
type Outcome = { serial: string } | { failure: string };

/** Half of the callers keep their connection, the others make one for each request. */
function caller(index: number): (wanted: Wanted) => Promise<Outcome> {
  const { urls, rootPem: ca } = service.signet;
  const client = createClient({ url: urls.api, ca, connections: index % 2 });
  clients.push(client);
  const outcome = (reply: Reply): Outcome => (reply.status === 201 ? { serial: jsonOf<{ serial: string }>(reply).serial } : { failure: `answered ${reply.status} ${reply.body.toString()}` });
  return ({ token, pair }) =>
    client.send('POST', '/v1/certificates', { json: { csr: pair.csr }, headers: { authorization: `Bearer ${token}` } }).then(outcome, (error: Error) => ({ failure: error.message }));
}

const storedSerials = async (agentId: string): Promise<string[]> =>
  (await rowsOf<{ serial: string }>(service.database, `SELECT encode(serial, 'hex') AS serial FROM certificates WHERE agent_id = $1`, [agentId])).map(({ serial }) => serial).toSorted();

test.each([1, 2])('SIGTERM under load, %d worker(s): every request that was taken has its whole answer, what is stored was answered, exit 0', async (workers) => {
  const { agentId, wanted } = await start(workers, 1_500);
  const answered: string[] = [];
  const refused: string[] = [];
  const load = Promise.all(
    Array.from({ length: CALLERS }, async (_, index) => {
      const ask = caller(index);
      for (let one = wanted.pop(); one && refused.length < CALLERS * 4; one = wanted.pop()) {
        const outcome = await ask(one);
        if ('serial' in outcome) answered.push(outcome.serial);
        else refused.push(outcome.failure);
      }
    }),
  );
  while (answered.length < 300) await sleep(1);
  const before = answered.length;
  service.signet.kill('SIGTERM');
  const exit = await service.signet.exited;
  await load;
  expect(wanted.length).toBeGreaterThan(0);
  expect(exit).toEqual({ code: 0, signal: null });
  // Under way when the signal came, and answered.
  expect(answered.length).toBeGreaterThan(before);
  // What did not get through was not let in: no connection, or one that was closed with nothing of the request read.
  expect(refused.filter((message) => !/ECONNREFUSED|ECONNRESET|socket hang up|EPIPE|disconnected before secure/.test(message))).toEqual([]);
  expect(await storedSerials(agentId)).toEqual(answered.toSorted());
  await expectWhole(service);
}, LONG);

test('kill -9 of one worker after the other under load: the service goes on, no acknowledged certificate is missing, nothing is half there', async () => {
  const { agentId, wanted } = await start(2, 2_000);
  const total = wanted.length;
  const acknowledged = new Set<string>();
  const failures: string[] = [];
  const load = Promise.all(
    Array.from({ length: CALLERS }, async (_, index) => {
      const ask = caller(index);
      for (let one = wanted.pop(); one; one = wanted.pop()) {
        // Asked again until it is answered: the same token with the same key has the same certificate.
        for (;;) {
          const outcome: Outcome = await Promise.race([ask(one), sleep(HUNG_MS, { failure: 'no answer' }, { ref: false })]);
          if ('serial' in outcome) {
            acknowledged.add(outcome.serial);
            break;
          }
          failures.push(outcome.failure);
          await sleep(20);
        }
      }
    }),
  );
  const killed: number[] = [];
  for (const at of [100, 500, 900]) {
    while (acknowledged.size < at || workersOf(service.signet).some(({ pid }) => killed.includes(pid))) await sleep(5);
    // The leader, then its heir.
    const leader = workersOf(service.signet).find(({ leads }) => leads);
    killed.push(leader?.pid ?? 0);
    process.kill(leader?.pid ?? 0, 'SIGKILL');
  }
  await load;
  expect(new Set(killed).size).toBe(3);
  expect(acknowledged.size).toBe(total);
  expect(await storedSerials(agentId)).toEqual([...acknowledged].toSorted());
  await expectWhole(service);
  // Connections were lost with their workers: seen at once, and by nobody else.
  expect(failures.length).toBeGreaterThan(0);
  expect(failures.filter((message) => !/ECONNRESET|socket hang up|EPIPE|disconnected before secure/.test(message))).toEqual([]);
}, LONG);
