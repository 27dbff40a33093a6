/** What stands in the way of a kill of few, which is done at once in the database; that it leaves what the same kill in steps leaves is test/slow/kill-both-ways. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { ok } from '../support/fault/fleet.ts';
import { stuckOrDone } from '../support/fault/sessions.ts';
import { jsonOf } from '../support/https-client.ts';
import { ocspRequestsOf, ocspStatusIn } from '../support/ocsp.ts';
import { startService, type Service } from '../support/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 60_000);
afterAll(() => service.close());

const ask = (selector: object, more: object = {}) => service.admin.send('POST', '/v1/kill', { json: { selector, reason: 'found in a public repository', ...more } });

test('a certificate that somebody else has put on hold, which this replica has not heard of, is not good once it is killed here', async () => {
  const it = await service.enrolled();
  const request = ocspRequestsOf(it.chain)(it.serial);
  const asked = async () => ocspStatusIn((await service.status.send('POST', '/ocsp', { bytes: request, headers: { 'content-type': 'application/ocsp-request' } })).body, it.serial);
  expect([await asked(), await asked()]).toEqual(['good', 'good']);
  // As at another replica a moment ago: the feed has not come yet.
  await service.database.ownerDb.$executeRaw`UPDATE certificates SET hold_causes = '{hold:another}', held_at = now() - interval '1 millisecond' WHERE serial = ${Buffer.from(it.serial, 'hex')}`;
  expect(await asked()).toBe('good');
  ok(await ask({ serial: it.serial }));
  expect(await asked()).toBe('revoked');
});

test('certificates that share a key: who revokes one of them and a kill do not wait for one another', async () => {
  const agentId = await service.register();
  const [one, two] = [await service.enrolled(agentId), await service.enrolled(agentId)].toSorted((a, b) => (a.serial < b.serial ? -1 : 1));
  if (!one || !two) throw new Error('two certificates');
  const serial = Buffer.from(two.serial, 'hex');
  await service.database.ownerDb.$executeRaw`UPDATE certificates SET key_hash = (SELECT key_hash FROM certificates WHERE serial = ${Buffer.from(one.serial, 'hex')}) WHERE serial = ${serial}`;
  const revoker = new pg.Client({ connectionString: service.database.ownerUrl });
  await revoker.connect();
  await revoker.query('BEGIN');
  await revoker.query('UPDATE certificates SET revoked_at = now(), revocation_reason = 0 WHERE serial = $1', [serial]);
  const killing = ask({ agentId }, { effect: 'revoke' });
  await stuckOrDone(service.database, 1, killing);
  await revoker.query('UPDATE public_keys SET blocked_at = now() WHERE blocked_at IS NULL AND key_hash = (SELECT key_hash FROM certificates WHERE serial = $1)', [serial]);
  await revoker.query('COMMIT');
  await revoker.end();
  expect(jsonOf<{ certificates: number }>(ok(await killing)).certificates).toBe(1);
});
