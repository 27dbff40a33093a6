/** Proxies that end TLS in front of Signet, with the configuration of docs/proxies.md: whom Signet takes a client for, and that a client cannot tell it otherwise. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePemAll, encodePem } from '../../src/x509/pem.ts';
import { assembleCertificate, encodeTbs } from '../../src/x509/tbs.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { identityOf } from '../support/fault/fleet.ts';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, versionOf, type Verdict } from '../support/interop.ts';
import { installedProgram, startProxy, type OutsideProxy } from '../support/outside-proxies.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Identity, type Service } from '../support/service.ts';
import { testKey } from '../support/test-pki.ts';

/** Where clients call from; the proxies connect from 127.0.0.1. */
const CLIENT = '127.0.0.5';
const BRIEF_SECONDS = 3;
type Shown = { chain: string; key: string };
type Headers = Record<string, string | string[]>;

const programOf = async (name: 'haproxy' | 'nginx', debianPackage: string, pattern: RegExp) => {
  const file = installedProgram(name);
  return outsideProgram({ name, debianPackage, must: false, version: async () => (file === undefined ? undefined : versionOf(file, ['-v'], pattern)) });
};
const PROXIES = [
  { name: 'haproxy', title: 'haproxy: ends TLS', saysExpired: /client-certificate-expired/, program: await programOf('haproxy', 'haproxy', /version (\S+)/) },
  { name: 'nginx', title: 'nginx: ends TLS', saysExpired: /SSL certificate error/, program: await programOf('nginx', 'nginx-light', /nginx\/(\S+)/) },
] as const;

let service: Service;
let brief: Identity;
let edgePem: string;
const folder = temporaryFolder('signet-edge-');
beforeAll(async () => {
  if (!PROXIES.some(({ program }) => program.isHere)) return;
  service = await startService({ env: { SIGNET_TRUSTED_PROXIES: '127.0.0.1' } });
  const pair = makeKeyAndCsr();
  brief = identityOf(await service.enroll(await service.joinToken(await service.register()), pair.csr, { ttlSeconds: BRIEF_SECONDS }), pair);
  const [key, certificate] = [path.join(folder, 'edge.key'), path.join(folder, 'edge.crt')];
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1';
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate, '-subj', '/CN=edge', '-addext', names, '-days', '1'], { stdio: 'ignore' });
  edgePem = fs.readFileSync(certificate, 'utf8') + fs.readFileSync(key, 'utf8');
}, INTEROP_TIMEOUT_MS);
afterAll(async () => {
  await service?.close();
  fs.rmSync(folder, { recursive: true });
}, INTEROP_TIMEOUT_MS);

const derOf = ({ chain }: Pick<Shown, 'chain'>): Buffer => decodePemAll(chain, 'CERTIFICATE')[0] ?? Buffer.alloc(0);
const header = (shown: Pick<Shown, 'chain'>): string => `:${derOf(shown).toString('base64')}:`;

/** All that the certificate says, with a key of the forger's, signed by the forger. */
function forge(real: Identity): Shown {
  const forger = testKey('forger at the edge');
  const tbs = encodeTbs({ ...parseCertificate(derOf(real)), spki: forger.spki, signatureAlgorithm: forger.algorithm });
  const der = assembleCertificate(tbs, forger.algorithm, forger.sign(tbs));
  return { chain: encodePem('CERTIFICATE', der), key: forger.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

describe.each(PROXIES)('$name', ({ name, title, program, saysExpired }) => {
  let proxy: OutsideProxy;
  beforeAll(async () => {
    if (program.isHere) proxy = await startProxy({ program: name, title, replicas: [service.signet.ports], edgePem, rootPem: service.signet.rootPem });
  }, INTEROP_TIMEOUT_MS);
  afterAll(() => proxy?.stop());

  const door = (which: 'api' | 'mtls', identity?: Shown, from = CLIENT) => createClient({ url: `https://127.0.0.1:${proxy.ports[which]}`, ca: edgePem, from, ...(identity && { identity }) });
  const renew = (identity?: Shown, headers: Headers = {}): Promise<Reply> => door('mtls', identity).send('POST', '/v1/certificates/renew', { json: { csr: makeKeyAndCsr().csr }, headers });
  /** Accepted as the holder of this certificate. */
  const verdictOn = (reply: Reply, holder?: Identity): Verdict => {
    const said = reply.body.toString('utf8');
    return { accepted: reply.status === 201 && jsonOf<Identity>(reply).instanceId === holder?.instanceId, said };
  };

  program.test('a client renews, and asks for a status; its own address is the source', async () => {
    const identity = await service.enrolled();
    const status = await door('mtls', identity).send('GET', `/v1/status/${identity.serial}`);
    program.expects('good', { accepted: status.status === 200 && jsonOf<{ status: string }>(status).status === 'good', said: status.body.toString('utf8') });
    const renewed = await renew(identity);
    program.expects('good', verdictOn(renewed, identity));
    const { items } = jsonOf<{ items: { source: string }[] }>(await service.admin.send('GET', `/v1/audit?serial=${jsonOf<Identity>(renewed).serial}`));
    expect(items.map(({ source }) => source)).toEqual([CLIENT]);
  });

  program.test('certificates of every kind of key come through whole', async () => {
    for (const key of [['rsa:4096'], ['ed25519'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']]) {
      const [keyFile, csrFile] = [path.join(folder, 'kind.key'), path.join(folder, 'kind.csr')];
      execFileSync('openssl', ['req', '-new', '-newkey', ...key, '-nodes', '-keyout', keyFile, '-out', csrFile, '-subj', '/'], { stdio: 'ignore' });
      const enrolled = await service.enroll(await service.joinToken(await service.register()), fs.readFileSync(csrFile, 'utf8'));
      const identity = identityOf(enrolled, { key: fs.readFileSync(keyFile, 'utf8') });
      program.expects('good', verdictOn(await renew(identity), identity));
    }
  });

  program.test('a join token bound to a network is good from there, and from nowhere else', async () => {
    const token = await service.joinToken(await service.register(), { sourceCidrs: [CLIENT] });
    const enroll = (from: string) => door('api', undefined, from).send('POST', '/v1/certificates', { json: { csr: makeKeyAndCsr().csr }, headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': CLIENT } });
    const elsewhere = await enroll('127.0.0.6');
    program.expects('known-bad', { accepted: elsewhere.status === 201, said: elsewhere.body.toString('utf8') }, /join-token-wrong-network.*127\.0\.0\.6|127\.0\.0\.6.*join-token-wrong-network/);
    expect((await enroll(CLIENT)).status).toBe(201);
  });

  program.test('headers from outside are taken away: a client is who it showed itself to be in the handshake, or nobody', async () => {
    const [victim, attacker] = [await service.enrolled(), await service.enrolled()];
    const spoofs: Headers[] = [
      { 'client-cert': header(victim) }, { 'Client-Cert': [header(victim), header(victim)] }, { 'client-cert': header(victim), 'client-cert-chain': header(victim) },
      { 'client-cert': header(victim), 'x-forwarded-for': '127.0.0.1' }, { 'client_cert': header(victim) }, { 'x-forwarded-for': '127.0.0.1', 'client-cert': 'garbage' },
    ];
    for (const spoof of spoofs) program.expects('known-bad', verdictOn(await renew(undefined, spoof), victim), /client-certificate-required/);
    for (const spoof of spoofs.slice(0, 2)) {
      const reply = await door('mtls', attacker).send('GET', `/v1/status/${victim.serial}`, { headers: spoof });
      expect(reply.status).toBe(200);
    }
    const renewed = await renew(attacker, spoofs[0]);
    program.expects('good', verdictOn(renewed, attacker));
  });

  program.test('whom Signet refuses is refused behind the proxy, with the same words', async () => {
    const [revoked, held, forged] = [await service.enrolled(), await service.enrolled(), await service.enrolled()];
    await service.order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'keyCompromise' });
    await service.order(`/v1/certificates/${held.serial}/hold`);
    program.expects('revoked', verdictOn(await renew(revoked), revoked), /client-certificate-revoked/);
    program.expects('revoked', verdictOn(await renew(held), held), /client-certificate-held/);
    program.expects('known-bad', verdictOn(await renew(forge(forged)), forged), /client-certificate-untrusted/);
    program.expects('known-bad', verdictOn(await renew()), /client-certificate-required/);
    await sleep(Math.max(0, parseCertificate(derOf(brief)).notAfter.getTime() - Date.now() + 50));
    program.expects('known-bad', verdictOn(await renew(brief), brief), saysExpired);
    program.expects('good', verdictOn(await renew(forged), forged));
  });

  program.test('a client that goes round the proxy is not believed', async () => {
    const victim = await service.enrolled();
    const direct = createClient({ url: service.signet.urls.mtls, ca: service.signet.rootPem, from: CLIENT });
    const reply = await direct.send('POST', '/v1/certificates/renew', { json: { csr: makeKeyAndCsr().csr }, headers: { 'client-cert': header(victim) } });
    program.expects('known-bad', verdictOn(reply, victim), /proxy-not-trusted/);
  });
});
