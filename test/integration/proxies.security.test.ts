/** What a proxy says of its clients: believed from the addresses in SIGNET_TRUSTED_PROXIES, and from nobody else. 127.0.0.2 is the proxy here. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePemAll } from '../../src/x509/pem.ts';
import { assembleCertificate, encodeTbs } from '../../src/x509/tbs.ts';
import { makeCsr } from '../support/csr.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { identityOf } from '../support/fault/fleet.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Identity, type Service } from '../support/service.ts';
import { testKey } from '../support/test-pki.ts';

const PROXY = '127.0.0.2';
const BRIEF_SECONDS = 2;
type Headers = Record<string, string | string[]>;

let service: Service;
let brief: Identity;
beforeAll(async () => {
  service = await startService({ env: { SIGNET_TRUSTED_PROXIES: `${PROXY},10.77.0.0/16` } });
  const pair = makeKeyAndCsr();
  brief = identityOf(await service.enroll(await service.joinToken(await service.register()), pair.csr, { ttlSeconds: BRIEF_SECONDS }), pair);
});
afterAll(() => service.close());

interface Caller {
  from?: string;
  identity?: { chain: string; key: string };
  connections?: number;
}
const client = (door: 'api' | 'mtls', caller: Caller = {}): Client => createClient({ url: service.signet.urls[door], ca: service.signet.rootPem, ...caller });
const derOf = ({ chain }: Pick<Identity, 'chain'>): Buffer => decodePemAll(chain, 'CERTIFICATE')[0] ?? Buffer.alloc(0);
const header = (der: Buffer): string => `:${der.toString('base64')}:`;
const clientCert = (identity: Pick<Identity, 'chain'>): Headers => ({ 'client-cert': header(derOf(identity)), 'x-forwarded-for': '192.0.2.1' });

const renewal = (caller: Caller, headers: Headers): Promise<Reply> =>
  client('mtls', caller).send('POST', '/v1/certificates/renew', { json: { csr: makeCsr().toString('base64') }, headers });
const refusesRenewal = async (refusal: Refusal, caller: Caller, headers: Headers) => expectRefused(await unchanged(service.database, () => renewal(caller, headers)), refusal);

const notTrusted: Refusal = { status: 403, code: 'proxy-not-trusted', says: /SIGNET_TRUSTED_PROXIES/ };
const invalid = (says: RegExp): Refusal => ({ status: 400, code: 'proxy-header-invalid', says });
const required: Refusal = { status: 401, code: 'client-certificate-required', says: /certificate of an enrolled instance/ };

/** Sources of the refusals with this code in the audit log. They are written behind the answers: waits for as many. */
async function denialsOf(code: string, count: number): Promise<(string | null)[]> {
  for (const deadline = performance.now() + 10_000; ; await sleep(50)) {
    const { items } = jsonOf<{ items: { source: string | null; detail: { code?: string } }[] }>(await service.admin.send('GET', '/v1/audit?kind=request.denied'));
    const sources = items.filter(({ detail }) => detail.code === code).map(({ source }) => source);
    if (sources.length >= count || performance.now() > deadline) return sources.toSorted();
  }
}

describe('a direct client', () => {
  test('that sends a certificate of another in a header is refused, whatever it shows itself; the attempt is in the audit log', async () => {
    const [victim, attacker] = [await service.enrolled(), await service.enrolled()];
    for (const caller of [{}, { identity: attacker }, { from: '127.0.0.3' }]) {
      await refusesRenewal(notTrusted, caller, clientCert(victim));
      await refusesRenewal(notTrusted, caller, { 'client-cert': 'garbage' });
      await refusesRenewal(notTrusted, caller, { 'client-cert-chain': header(derOf(victim)) });
    }
    expectRefused(await client('mtls', { identity: attacker }).send('GET', `/v1/status/${victim.serial}`, { headers: clientCert(victim) }), notTrusted);
    expectRefused(await client('mtls').send('GET', '/v1/trust-bundle', { headers: clientCert(victim) }), notTrusted);
    expect(await denialsOf('proxy-not-trusted', 3 * 3 + 2)).toEqual([...Array<string>(8).fill('127.0.0.1'), ...Array<string>(3).fill('127.0.0.3')]);
  });

  test('cannot choose its source', async () => {
    const token = await service.joinToken(await service.register(), { sourceCidrs: ['192.0.2.0/24'] });
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': '192.0.2.1' };
    const reply = await client('api').send('POST', '/v1/certificates', { json: { csr: makeKeyAndCsr().csr }, headers });
    expectRefused(reply, { status: 403, code: 'join-token-wrong-network', says: /not for use from 127\.0\.0\.1/ });
  });

  test('may say what it likes on doors that ask for no certificate', async () => {
    const someone = await service.enrolled();
    expect((await client('api').send('GET', '/healthz', { headers: clientCert(someone) })).status).toBe(200);
  });
});

describe('through the trusted proxy', () => {
  const proxy: Caller = { from: PROXY };

  test('a client renews with the certificate it showed to the proxy, and its address is the source', async () => {
    const identity = await service.enrolled();
    const reply = await renewal(proxy, { ...clientCert(identity), 'client-cert-chain': header(derOf(identity)), 'x-forwarded-for': '198.51.100.1, 192.0.2.1, 10.77.0.9' });
    expect([reply.status, jsonOf<Identity>(reply).instanceId, jsonOf<Identity>(reply).generation]).toEqual([201, identity.instanceId, 2]);
    const { items } = jsonOf<{ items: { source: string }[] }>(await service.admin.send('GET', `/v1/audit?serial=${jsonOf<Identity>(reply).serial}`));
    expect(items.map(({ source }) => source)).toEqual(['192.0.2.1']);
  });

  test('a join token bound to a network works from there only', async () => {
    const token = await service.joinToken(await service.register(), { sourceCidrs: ['192.0.2.0/24'] });
    const enroll = (forwarded: string) => client('api', proxy).send('POST', '/v1/certificates', { json: { csr: makeKeyAndCsr().csr }, headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': forwarded } });
    expectRefused(await enroll('192.0.2.1, 198.51.100.1'), { status: 403, code: 'join-token-wrong-network', says: /not for use from 198\.51\.100\.1/ });
    expectRefused(await enroll('192.0.2.1, nowhere'), invalid(/X-Forwarded-For/));
    expect((await enroll('198.51.100.1, 192.0.2.1')).status).toBe(201);
  });

  test('headers that are broken, or come twice, are refused', async () => {
    const identity = await service.enrolled();
    const good = header(derOf(identity));
    await refusesRenewal(invalid(/came more than once/), proxy, { 'client-cert': [good, good] });
    await refusesRenewal(invalid(/between colons/), proxy, { 'client-cert': `${good}, ${good}` });
    await refusesRenewal(invalid(/between colons/), proxy, { 'client-cert': derOf(identity).toString('base64') });
    await refusesRenewal(invalid(/between colons/), proxy, { 'client-cert': encodeURIComponent(identity.chain) });
    await refusesRenewal(invalid(/without Client-Cert/), proxy, { 'client-cert-chain': good });
    await refusesRenewal(invalid(/Client-Cert-Chain must be/), proxy, { 'client-cert': good, 'client-cert-chain': 'x' });
    expect((await renewal(proxy, { 'client-cert': good })).status).toBe(201);
  });

  test('the certificate is judged as one from a handshake: forged, altered, not a certificate, expired, revoked, on hold', async () => {
    const [real, revoked, held] = [await service.enrolled(), await service.enrolled(), await service.enrolled()];
    const stranger = testKey('a stranger');
    const ours = parseCertificate(derOf(real));
    const tbs = encodeTbs({ ...ours, signatureAlgorithm: stranger.algorithm });
    const forged = assembleCertificate(tbs, stranger.algorithm, stranger.sign(tbs));
    const untrusted = (says: RegExp): Refusal => ({ status: 401, code: 'client-certificate-untrusted', says });
    await refusesRenewal(untrusted(/bad-signature/), proxy, { 'client-cert': header(forged) });
    await refusesRenewal(untrusted(/strict DER/), proxy, { 'client-cert': header(derOf(real).subarray(0, -1)) });
    await refusesRenewal(untrusted(/strict DER/), proxy, { 'client-cert': header(Buffer.concat([derOf(real), Buffer.from([0])])) });
    await refusesRenewal(untrusted(/strict DER/), proxy, { 'client-cert': header(Buffer.from('hello')) });

    await service.order(`/v1/certificates/${revoked.serial}/revoke`);
    await refusesRenewal({ status: 403, code: 'client-certificate-revoked', says: /revoked/ }, proxy, clientCert(revoked));
    await service.order(`/v1/certificates/${held.serial}/hold`);
    await refusesRenewal({ status: 403, code: 'client-certificate-held', says: /hold/ }, proxy, clientCert(held));
    await sleep(Math.max(0, parseCertificate(derOf(brief)).notAfter.getTime() - Date.now() + 50));
    await refusesRenewal({ status: 401, code: 'client-certificate-expired', says: /expired at/ }, proxy, clientCert(brief));
    expect((await renewal(proxy, clientCert(real))).status).toBe(201);
  });

  test("the proxy's own certificate never counts, forgotten headers or not", async () => {
    const [own, other] = [await service.enrolled(), await service.enrolled()];
    const asItself = { ...proxy, identity: own };
    await refusesRenewal(required, asItself, { 'x-forwarded-for': '192.0.2.1' });
    expect(jsonOf<Identity>(await renewal(asItself, clientCert(other))).instanceId).toBe(other.instanceId);
    await refusesRenewal(required, asItself, {});
    expect((await renewal({ identity: own }, {})).status).toBe(201);
  });

  test('requests of different clients on one connection are each judged by their own header', async () => {
    const [one, two] = [await service.enrolled(), await service.enrolled()];
    const shared = client('mtls', { ...proxy, connections: 1 });
    const ask = (headers: Headers) => shared.send('GET', `/v1/status/${one.serial}`, { headers });
    await service.order(`/v1/certificates/${two.serial}/revoke`);
    expect((await ask(clientCert(one))).status).toBe(200);
    expectRefused(await ask(clientCert(two)), { status: 403, code: 'client-certificate-revoked', says: /revoked/ });
    expectRefused(await ask({ 'x-forwarded-for': '192.0.2.1' }), required);
    expect((await ask(clientCert(one))).status).toBe(200);
    shared.close();
  });
});
