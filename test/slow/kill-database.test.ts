/** SIGKILL of Signet and its PostgreSQL at once, in the middle of load: what was acknowledged was durable (fsync and synchronous commit are on here). */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createClient, jsonOf, type Client } from '../support/https-client.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';
import { ok } from '../support/fault/fleet.ts';
import { expectWhole } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';

const LONG = 120_000;
const ENROLLMENTS = 60;
/** Acknowledged before the kill; the rest is under way or not begun. */
const BEFORE_KILL = 20;

const postmaster = (dataDir: string): string[] => fs.readFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n');
const admin = (signet: SignetProcess): Client => createClient({ url: signet.urls.api, ca: signet.rootPem, token: signet.adminToken, connections: 8 });
const enroll = (signet: SignetProcess, token: string, csr: string) =>
  createClient({ url: signet.urls.api, ca: signet.rootPem, token }).send('POST', '/v1/certificates', { json: { csr } });

test('kill -9 of Signet and its database under load: every acknowledged certificate and revocation is there, nothing is half there', async () => {
  const dataDir = temporaryFolder('signet-data-');
  try {
    const first = await startSignet({ dataDir });
    const api = admin(first);
    const agent = jsonOf<{ id: string }>(ok(await api.send('POST', '/v1/agents', { json: { name: 'durable', purpose: 'testing', ownerEmail: 'owner@example.com' } }))).id;
    const asked = await Promise.all(
      Array.from({ length: ENROLLMENTS }, async () => ({
        token: jsonOf<{ token: string }>(ok(await api.send('POST', `/v1/agents/${agent}/join-tokens`, { json: {} }))).token,
        pair: makeKeyAndCsr(),
        serial: undefined as string | undefined,
      })),
    );

    const revoked: string[] = [];
    const all = asked.map(async (one) => {
      const reply = await enroll(first, one.token, one.pair.csr);
      one.serial = jsonOf<{ serial: string }>(ok(reply)).serial;
      if (revoked.length >= 5) return;
      ok(await api.send('POST', `/v1/certificates/${one.serial}/revoke`, { json: { reason: 'keyCompromise' } }));
      revoked.push(one.serial);
    });
    const ended = Promise.allSettled(all);
    while (asked.filter(({ serial }) => serial !== undefined).length < BEFORE_KILL) await sleep(1);
    process.kill(Number(postmaster(dataDir)[0]), 'SIGKILL');
    first.kill('SIGKILL');
    await first.exited;
    await ended;
    api.close();
    const acknowledged = asked.flatMap(({ serial }) => serial ?? []);
    expect(acknowledged.length).toBeGreaterThanOrEqual(BEFORE_KILL);

    const second = await startSignet({ dataDir });
    const again = admin(second);
    const { statuses } = jsonOf<{ statuses: { serial: string; status: string }[] }>(ok(await again.send('POST', '/v1/status', { json: { serials: acknowledged } })));
    // A revocation may have been carried out without its answer having come through; never the other way round.
    expect(statuses.filter(({ status }) => status === 'unknown')).toEqual([]);
    expect(statuses.filter(({ serial, status }) => revoked.includes(serial) && status !== 'revoked')).toEqual([]);

    const [, , , port] = postmaster(dataDir);
    const password = fs.readFileSync(path.join(dataDir, 'postgres/password'), 'utf8').trim();
    await expectWhole({ database: { ownerUrl: `postgresql://postgres:${password}@127.0.0.1:${port}/signet` } });
    // What was under way goes through now: either it is there and handed out again, or it is issued.
    const rest = await Promise.all(asked.filter(({ serial }) => serial === undefined).slice(0, 10).map(({ token, pair }) => enroll(second, token, pair.csr)));
    expect(rest.map(({ status }) => status)).toEqual(rest.map(() => 201));
    again.close();
    await second.stop();
  } finally {
    fs.rmSync(dataDir, { recursive: true, force: true });
  }
}, LONG);
