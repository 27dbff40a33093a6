/** Readers of the live feed at one replica: what they cost when they only listen, and at a steady rate of revocations. */
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { order } from './admin.ts';
import { requestOf } from './connection.ts';
import type { Enrolled } from './issuance.ts';
import { openPool, type Pool } from './loops.ts';
import { cpuUse, residentMb } from './processes.ts';
import type { Service } from './service.ts';
import type { Stage } from './stage.ts';

const REVOCATIONS_A_SECOND = 10;
/** Connections that are opened at once. */
const OPENING = 32;
const SETTLE_MS = 2_500;
/** The last revocation is told of within this time. */
const LAST_MS = 5_000;

export interface FeedFigures {
  subscribers: number;
  /** Resident memory of the service with all of them listening, less what it was before; MB. */
  extraRssMb: number;
  /** Shares of one core that the service took: alone, with all of them listening, and at REVOCATIONS_A_SECOND. */
  cores: { alone: number; listening: number; revoking: number };
  /** Of that, PostgreSQL. */
  postgresCores: number;
  /** Each was told to every reader, in order. */
  revocations: number;
}

/** A reader: the numbers of the events it was told. */
interface Reader {
  numbers: number[];
  heartbeats: number;
  close(): void;
}

function subscribe({ doors, rootPem }: Service, token: string): Promise<Reader> {
  const socket = tls.connect({ host: '127.0.0.1', port: doors.api.port, ca: rootPem, servername: 'localhost', checkServerIdentity: () => undefined });
  const reader: Reader = { numbers: [], heartbeats: 0, close: () => socket.destroy() };
  return new Promise((resolve, reject) => {
    let rest = '';
    socket.setEncoding('utf8').once('error', reject).once('secureConnect', () => socket.write(requestOf('GET', '/v1/revocations/stream', { authorization: `Bearer ${token}`, accept: 'text/event-stream' })));
    socket.on('data', (text: string) => {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, name] = /^event: ?(\w+)$/m.exec(block) ?? [];
        if (name === 'change') reader.numbers.push(Number(/^id: ?[^:]+:\d+:(\d+)$/m.exec(block)?.[1]));
        else if (name === 'heartbeat') reader.heartbeats++;
        else if (name === 'hello') resolve(reader);
      }
      if (/^HTTP\/1\.1 (?!200)/.test(text)) reject(new Error(`a reader is refused: ${text}`));
    });
  });
}

async function shares(service: Service, during: () => Promise<unknown>): Promise<{ service: number; postgres: number }> {
  const [before, began] = [cpuUse(service.pid, service.postmaster), performance.now()];
  await during();
  const [after, micros] = [cpuUse(service.pid, service.postmaster), (performance.now() - began) * 1000];
  return { service: (after.service - before.service) / micros, postgres: (after.postgres - before.postgres) / micros };
}

const rssMb = ({ pid, workers }: Service): number => [...new Set([pid, ...workers])].reduce((sum, one) => sum + residentMb(one), 0);

async function revokeAll(admin: Pool, service: Service, victims: readonly Enrolled[]): Promise<void> {
  const began = performance.now();
  for (const [i, { serial }] of victims.entries()) {
    await sleep(Math.max(0, began + (i * 1000) / REVOCATIONS_A_SECOND - performance.now()));
    await order(admin, service, `/v1/certificates/${serial}/revoke`, { reason: 'superseded' });
  }
}

/** `victims`: certificates to be revoked. */
export async function feed({ service, sizes }: Stage, victims: readonly Enrolled[]): Promise<FeedFigures> {
  const admin = await openPool(service.doors.api, 1);
  const { id } = await order<{ id: string }>(admin, service, '/v1/relying-parties', { name: 'bench-readers', ownerEmail: 'bench@example.org', mayAsk: ['status', 'feed'] });
  const { token } = await order<{ token: string }>(admin, service, `/v1/relying-parties/${id}/tokens`, { name: 'bench' });
  const alone = await shares(service, () => sleep(SETTLE_MS));
  const before = rssMb(service);
  const readers: Reader[] = [];
  await Promise.all(Array.from({ length: OPENING }, async (_, first) => {
    for (let i = first; i < sizes.subscribers; i += OPENING) readers.push(await subscribe(service, token));
  }));
  await sleep(SETTLE_MS);
  const extraRssMb = rssMb(service) - before;
  const listening = await shares(service, () => sleep(SETTLE_MS));
  const told = (reader: Reader) => reader.numbers.length;
  const from = readers.map(told);
  const revoking = await shares(service, () => revokeAll(admin, service, victims.slice(0, sizes.feedRevocations)));
  const events = (index: number) => readers[index]?.numbers.slice(from[index]) ?? [];
  for (const deadline = performance.now() + LAST_MS; readers.some((_, i) => events(i).length < sizes.feedRevocations) && performance.now() < deadline; ) await sleep(50);
  const isWhole = (numbers: number[]) => numbers.length >= sizes.feedRevocations && numbers.every((n, i) => i === 0 || n === (numbers[i - 1] ?? 0) + 1);
  const bad = readers.findIndex((_, i) => !isWhole(events(i)));
  if (bad >= 0) throw new Error(`reader ${bad} was told ${events(bad).join(' ')}, not all of ${sizes.feedRevocations} in order`);
  if (readers.some(({ heartbeats }) => heartbeats === 0)) throw new Error('a reader heard no heartbeat');
  for (const reader of readers) reader.close();
  admin.close();
  return {
    subscribers: readers.length,
    extraRssMb,
    cores: { alone: alone.service, listening: listening.service, revoking: revoking.service },
    postgresCores: revoking.postgres,
    revocations: sizes.feedRevocations,
  };
}
