/** A relying party that takes only logged certificates: what a stolen issuing key made is refused, though its chain is good and nobody ever revoked it. */
import { hash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RelyingParty, RelyingPartyOptions } from '../../src/client/relying-party/index.ts';
import { openAuthorities } from '../../src/authorities/open-authorities.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { openKeyStore } from '../../src/keystore/index.ts';
import { loadProfiles } from '../../src/profiles/profile.ts';
import { testConfig } from '../support/authority.ts';
import { signLeaf } from '../support/leaves.ts';
import { noteSigner } from '../support/log.ts';
import { chainOf, partiesOf, partyToken, type Parties } from '../support/relying-party.ts';
import { startService, type Service } from '../support/service.ts';
import { testKek } from '../support/signet-process.ts';

let service: Service;
let parties: Parties;
let token: string;
let logKey: string;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  service = await startService();
  parties = partiesOf(service);
  token = await partyToken(service, 'gateway');
  logKey = (await service.status.send('GET', '/tlog/key')).body.toString().trim();
}, 120_000);
afterAll(async () => {
  await parties.close();
  for (const close of closing) await close();
  await service.close();
});

const opened = (options: Partial<RelyingPartyOptions> = {}): Promise<RelyingParty> => parties.open({ feed: { urls: [service.signet.urls.api], token }, requireLogged: { logKey }, ...options });

/** Whoever has the database and the key-encryption key has the issuing key. */
async function stolenCertificate(): Promise<Buffer[]> {
  const [clock, log, metrics, db] = [systemClock, createLogger('silent'), createMetrics(), service.database.product];
  const { keyStore } = await openKeyStore({ db, random: createSystemRandom(), clock, log }, { kind: 'file', key: Buffer.from(testKek(), 'base64'), path: 'test' });
  const authorities = await openAuthorities({ db, keyStore, clock, log, metrics, listenUrl: undefined });
  closing.push(() => authorities.close());
  const thief = { authorities, profiles: loadProfiles(undefined), config: testConfig({ SIGNET_PUBLIC_URL: service.signet.urls.status }), clock: { ...clock, set: () => undefined, advance: () => undefined } };
  const { der, issuer } = await signLeaf(thief, 1);
  return [der, issuer.certificate.der];
}

test('what was issued is let in, once its issuance is proven; also to a relying party that shows a certificate', async () => {
  const identity = await service.enrolled();
  const rp = await opened();
  expect(await rp.judgeCertificate(chainOf(identity))).toMatchObject({ allowed: true, source: 'feed', logged: 'proven' });
  const self = await service.enrolled();
  const from = { urls: [service.signet.urls.mtls], identity: { certificate: self.chain, key: self.key } };
  expect(await (await opened({ requireLogged: { logKey, from } })).judgeCertificate(chainOf(identity))).toMatchObject({ allowed: true, logged: 'proven' });
  await service.order(`/v1/certificates/${identity.serial}/revoke`, { reason: 'keyCompromise' });
  expect(await (await opened()).judgeCertificate(chainOf(identity))).toMatchObject({ allowed: false, code: 'certificate-revoked' });
});

test('a certificate of the stolen issuing key: let in by who does not ask the log, refused by who does, in either mode', async () => {
  const chain = await stolenCertificate();
  expect(await (await parties.open({ feed: { urls: [service.signet.urls.api], token } })).judgeCertificate(chain)).toMatchObject({ allowed: true, logged: 'not-asked' });
  for (const mode of ['closed', 'open'] as const) {
    const fingerprint = hash('sha256', chain[0] ?? '');
    expect(await (await opened({ mode })).judgeCertificate(chain)).toMatchObject({ allowed: false, code: 'certificate-not-logged', status: 403, peer: { fingerprint } });
  }
});

test('another log than this one proves nothing', async () => {
  const identity = await service.enrolled();
  const [name = ''] = logKey.split('+');
  const rp = await opened({ requireLogged: { logKey: noteSigner(name).vkey } });
  expect(await rp.judgeCertificate(chainOf(identity))).toMatchObject({ allowed: false, code: 'certificate-not-logged', detail: expect.stringContaining('unknown-log-key') as unknown });
});
