/** What befalls a replica of two workers as a whole. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createClient } from '../support/https-client.ts';
import { startService } from '../support/service.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';
import { workersOf } from '../support/workers.ts';

const LONG = 120_000;
const TWO = { SIGNET_WORKERS: '2' };

const isAlive = (pid: number): boolean => fs.existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
const workersServe = async (signet: SignetProcess) => {
  while (workersOf(signet).length < 2) await sleep(20);
  return workersOf(signet).map(({ pid }) => pid);
};

test('a database that was set back ends all workers and their supervisor, with 70 and the reason', async () => {
  const service = await startService({ env: { ...TWO, SIGNET_LOG_LEVEL: 'info' } });
  const { serial } = await service.enrolled();
  await service.order(`/v1/certificates/${serial}/revoke`, { reason: 'superseded' });
  const { ownerDb } = service.database;
  await ownerDb.$executeRaw`DELETE FROM feed_events`;
  await ownerDb.$executeRaw`UPDATE counters SET value = 0 WHERE name = 'feed'`;
  expect(await service.signet.exited).toEqual({ code: 70, signal: null });
  expect(service.signet.stdout()).toMatch(/"reason":"the feed went back from 1 to 0.*"msg":"cannot go on"/);
  await service.close(/./);
}, LONG);

test('the embedded database belongs to the supervisor: SIGTERM ends workers, then the database; when that ends by itself, all end with 70', async () => {
  const server = (signet: SignetProcess) => Number(fs.readFileSync(path.join(signet.dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
  const drained = await startSignet({ env: TWO });
  const everyone = [server(drained), ...(await workersServe(drained))];
  expect(everyone.map(isAlive)).toEqual([true, true, true]);
  expect(await drained.stop()).toEqual({ code: 0, signal: null });
  expect(everyone.map(isAlive)).toEqual([false, false, false]);

  const robbed = await startSignet({ env: TWO });
  const workers = await workersServe(robbed);
  process.kill(server(robbed), 'SIGQUIT');
  expect(await robbed.exited).toEqual({ code: 70, signal: null });
  expect(workers.map(isAlive)).toEqual([false, false]);
  await robbed.stop();
}, LONG);

test('a terminal’s Ctrl-C reaches every process of the group, and drains once; a second one later forces', async () => {
  const signet = await startSignet({ env: TWO });
  const all = [signet.pid, ...(await workersServe(signet))];
  for (const pid of all) process.kill(pid, 'SIGINT');
  // npm passes on what it gets.
  signet.kill('SIGINT');
  expect(await signet.exited).toEqual({ code: 0, signal: null });
  expect(signet.stdout().match(/"msg":"stopping/g)).toHaveLength(1);
  await signet.stop();

  const stuck = await startSignet({ env: TWO });
  const workers = await workersServe(stuck);
  process.kill(workers[1] ?? 0, 'SIGSTOP');
  stuck.kill('SIGTERM');
  await stuck.says('"msg":"stopping');
  await sleep(600);
  stuck.kill('SIGTERM');
  // It goes without the one that stands still, which goes as soon as it can.
  while (isAlive(stuck.pid) || isAlive(workers[0] ?? 0)) await sleep(20);
  expect(isAlive(workers[1] ?? 0)).toBe(true);
  process.kill(workers[1] ?? 0, 'SIGCONT');
  expect(await stuck.exited).toEqual({ code: 70, signal: null });
  while (workers.some(isAlive)) await sleep(20);
  await stuck.stop();
}, LONG);

test('told to stop before it is up, neither workers nor a database are left', async () => {
  const signet = await startSignet({ env: TWO, ready: false });
  const children = () => fs.readFileSync(`/proc/${signet.pid}/task/${signet.pid}/children`, 'utf8').split(' ').map(Number).filter((pid) => pid > 0);
  while (children().length < 3) await sleep(5);
  const started = children();
  signet.kill('SIGTERM');
  expect((await signet.exited).code).toBe(130);
  while (started.some(isAlive)) await sleep(20);
  await signet.stop();
}, LONG);

test('a worker that hangs is killed and replaced, and counted; a whole replica that stood still loses none', async () => {
  const SILENCE_SECONDS = 5;
  const service = await startService({ env: { ...TWO, SIGNET_LOG_LEVEL: 'info', SIGNET_WORKER_SILENCE_SECONDS: String(SILENCE_SECONDS) } });
  const { signet } = service;
  const [first = 0, second = 0] = await workersServe(signet);
  const killed = async () => /^signet_workers_killed (\d+)/m.exec((await createClient({ url: signet.urls.operations }).send('GET', '/metrics')).body.toString())?.[1];

  // The supervisor is the last to stop and the first to go on.
  for (const pid of [first, second, signet.pid]) process.kill(pid, 'SIGSTOP');
  await sleep((SILENCE_SECONDS + 3) * 1000);
  for (const pid of [signet.pid, first, second]) process.kill(pid, 'SIGCONT');
  await sleep(3_000);
  expect(await killed()).toBe('0');

  // The one that leads: the other one takes over.
  process.kill(first, 'SIGSTOP');
  await signet.says('"msg":"a worker hangs and is killed"');
  await signet.says('"msg":"another worker leads from now on"');
  while (workersOf(signet).find(({ number }) => number === 1)?.pid === first) await sleep(20);
  expect(isAlive(first)).toBe(false);
  expect(workersOf(signet).map(({ number, leads }) => ({ number, leads }))).toEqual([{ number: 1, leads: false }, { number: 2, leads: true }]);
  expect(await killed()).toBe('1');
  expect(await signet.stop()).toEqual({ code: 0, signal: null });
  await service.close(/a worker (hangs|ended)/);
}, LONG);
