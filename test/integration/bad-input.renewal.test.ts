/** Renewals that must not be: by nobody, by strangers, by what has expired, was revoked or is on hold, and with keys that are not fresh. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import https from 'node:https';
import type { TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodePem, encodePem } from '../../src/x509/pem.ts';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { integer, sequence } from '../../src/x509/der/writer.ts';
import { open } from '../../src/x509/der/reader.ts';
import { assembleCertificate, encodeTbs, type CertificateIntent } from '../../src/x509/tbs.ts';
import { encodeSubjectKeyIdentifier } from '../../src/x509/extensions/subject-key-identifier.ts';
import { makeCsr } from '../support/csr.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { identityOf } from '../support/fault/fleet.ts';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Identity, type Service } from '../support/service.ts';
import { testKey, withExtensions, type TestKey } from '../support/test-pki.ts';

/** Long enough for a slow machine to use it, short enough to see it die. */
const BRIEF_SECONDS = 4;

let service: Service;
let brief: Identity;
let resumable: Promise<Buffer>;
beforeAll(async () => {
  service = await startService();
  const pair = makeKeyAndCsr();
  brief = identityOf(await service.enroll(await service.joinToken(await service.register()), pair.csr, { ttlSeconds: BRIEF_SECONDS }), pair);
  resumable = sessionOf(brief);
  await resumable;
});
afterAll(() => service.close());

const untrusted = (says = /not one of ours/): Refusal => ({ status: 401, code: 'client-certificate-untrusted', says });
const expired: Refusal = { status: 401, code: 'client-certificate-expired', says: /expired at 20.*Z; enroll again with a new join token/ };
const refuse = async (refusal: Refusal, work: () => Promise<Reply>) => expectRefused(await unchanged(service.database, work), refusal);
const refuseRenewal = (refusal: Refusal, identity: { chain: string; key: string } | undefined) => refuse(refusal, () => service.renew(identity, makeCsr()));

const leafOf = (identity: { chain: string }): Certificate => parseCertificate(decodePem(identity.chain.slice(0, identity.chain.indexOf('-----END') + 25).trim(), 'CERTIFICATE'));

/** Waits until a certificate has died. */
const deathOf = (certificate: Certificate) => sleep(Math.max(0, certificate.notAfter.getTime() - Date.now() + 50));

describe('without a certificate of ours:', () => {
  test('none', () => refuseRenewal({ status: 401, code: 'client-certificate-required', says: /certificate of an enrolled instance/ }, undefined));

  test('none, but an admin token or a join token', async () => {
    const token = await service.joinToken(await service.register());
    const client = service.mtls();
    for (const headers of [{ authorization: `Bearer ${service.signet.adminToken}` }, { authorization: `Bearer ${token}` }]) {
      await refuse({ status: 401, code: 'client-certificate-required', says: /certificate/ }, () => client.send('POST', '/v1/certificates/renew', { json: { csr: makeCsr().toString('base64') }, headers }));
    }
  });

  test('at the API door, which asks for none', async () => {
    const reply = await unchanged(service.database, () => service.open.send('POST', '/v1/certificates/renew', { json: { csr: makeCsr().toString('base64') } }));
    expect(reply.status).toBeGreaterThanOrEqual(404);
    expect(jsonOf<{ next: string }>(reply).next).toMatch(/listener|methods/);
  });
});

/** A look-alike of a certificate of ours: the same names, serial and extensions, with a key of the forger's. */
function forge(real: Certificate, key: TestKey, change: Partial<CertificateIntent> = {}, signer = key): { chain: string; key: string } {
  const base: CertificateIntent = {
    serial: real.serial,
    issuerName: real.issuerName,
    signatureAlgorithm: signer.algorithm,
    notBefore: real.notBefore,
    notAfter: real.notAfter,
    subject: real.subject,
    spki: key.spki,
    extensions: [],
  };
  const intent = { ...base, extensions: withExtensions({ ...base, extensions: real.extensions }, encodeSubjectKeyIdentifier(key.keyIdentifier)), ...change };
  const tbs = encodeTbs(intent);
  const der = assembleCertificate(tbs, intent.signatureAlgorithm, signer.sign(tbs));
  return { chain: encodePem('CERTIFICATE', der), key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

const long = { notBefore: new Date('2020-01-01T00:00:00Z'), notAfter: new Date('2039-12-31T00:00:00Z') };
const past = { notBefore: new Date('2020-01-01T00:00:00Z'), notAfter: new Date('2020-01-02T00:00:00Z') };
const forger = testKey('forger');

describe.each([
  ['', long],
  ['expired and ', past],
])('%sforeign:', (_, validity) => {
  test('of another authority', async () => {
    const real = leafOf(await service.enrolled());
    const issuerName = forge(real, forger, { subject: [{ type: 'CN', value: 'Another CA' }] });
    const name = leafOf(issuerName).subjectName;
    await refuseRenewal(untrusted(), forge(real, forger, { ...validity, issuerName: name, extensions: [] }));
  });

  test('self-signed', async () => {
    const real = leafOf(await service.enrolled());
    await refuseRenewal(untrusted(), forge(real, forger, { ...validity, issuerName: real.subjectName, extensions: [] }));
  });

  test("with our issuer's name and key identifier, signed by somebody else", async () => {
    const real = leafOf(await service.enrolled());
    await refuseRenewal(untrusted(/bad-signature/), forge(real, forger, validity, testKey('not our issuer')));
  });

  test("with our issuer's name, and the forged issuer sent along", async () => {
    const enrolled = await service.enrolled();
    const [real, ours] = [leafOf(enrolled), leafOf({ chain: enrolled.chain.slice(enrolled.chain.indexOf('-----END') + 26) })];
    const fakeIssuer = testKey('fake issuer');
    const issuer = forge(ours, fakeIssuer, { ...long, extensions: ours.extensions });
    const leaf = forge(real, forger, validity, fakeIssuer);
    await refuseRenewal(untrusted(), { chain: leaf.chain + issuer.chain, key: leaf.key });
  });
});

test('our own certificate in another encoding of its signature is not the one that was issued', async () => {
  const real = await service.enrolled();
  const leaf = leafOf(real);
  const twin = assembleCertificate(leaf.tbs, leaf.signatureAlgorithm, otherSignature(leaf.signature));
  await refuseRenewal(untrusted(/not recorded as issued here/), { chain: encodePem('CERTIFICATE', twin), key: real.key });
  expect((await service.renew(real, makeCsr())).status).toBe(201);
});

/** ECDSA signatures come in pairs: (r, n - s) is as good as (r, s). */
function otherSignature(signature: Buffer): Buffer {
  const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const top = open(signature);
  const parts = top.sequence('signature');
  const [r, s] = [parts.next(), parts.next()].map(({ content }) => BigInt(`0x${content.toString('hex')}`));
  return sequence(integer(r ?? 0n), integer(N - (s ?? 0n)));
}

describe('not good any more:', () => {
  const revoked: Refusal = { status: 403, code: 'client-certificate-revoked', says: /revoked/ };

  test('revoked', async () => {
    const identity = await service.enrolled();
    await service.order(`/v1/certificates/${identity.serial}/revoke`);
    await refuseRenewal(revoked, identity);
  });

  test('on hold by an operator; released, it renews', async () => {
    const identity = await service.enrolled();
    await service.order(`/v1/certificates/${identity.serial}/hold`);
    await refuseRenewal({ status: 403, code: 'client-certificate-held', says: /on hold/ }, identity);
    await service.order(`/v1/certificates/${identity.serial}/release`);
    expect((await service.renew(identity, makeCsr())).status).toBe(201);
  });

  test('its instance is quarantined; released, it renews', async () => {
    const identity = await service.enrolled();
    await service.order(`/v1/instances/${identity.instanceId}/quarantine`, { reason: 'seen twice' });
    await refuseRenewal({ status: 403, code: 'instance-quarantined', says: /operator must release or revoke it/ }, identity);
    await service.order(`/v1/instances/${identity.instanceId}/release`);
    expect((await service.renew(identity, makeCsr())).status).toBe(201);
  });

  test('its instance is revoked', async () => {
    const identity = await service.enrolled();
    await service.order(`/v1/instances/${identity.instanceId}/revoke`);
    await refuseRenewal(revoked, identity);
  });

  test('its agent is suspended; resumed, it renews', async () => {
    const identity = await service.enrolled();
    await service.order(`/v1/agents/${identity.agentId}/suspend`);
    await refuseRenewal({ status: 403, code: 'agent-suspended', says: /operator must resume it/ }, identity);
    await service.order(`/v1/agents/${identity.agentId}/resume`);
    expect((await service.renew(identity, makeCsr())).status).toBe(201);
  });

  test('its agent is retired', async () => {
    const identity = await service.enrolled();
    await service.order(`/v1/agents/${identity.agentId}/retire`);
    await refuseRenewal(revoked, identity);
  });
});

describe('with a key that is not fresh:', () => {
  test('the key of the certificate it renews', async () => {
    const pair = makeKeyAndCsr();
    const identity = await service.enrolled(undefined, pair);
    await refuse({ status: 409, code: 'key-not-fresh', says: /needs a new key pair/ }, () => service.renew(identity, pair.csr));
    expect((await service.renew(identity, makeCsr())).status).toBe(201);
  });

  test('the key of the certificate before that', async () => {
    const [oldest, middle] = [makeKeyAndCsr(), makeKeyAndCsr()];
    const first = await service.enrolled(undefined, oldest);
    const second = identityOf(await service.renew(first, middle.csr), middle);
    await refuse({ status: 409, code: 'key-not-fresh', says: /make a new key pair/ }, () => service.renew(second, oldest.csr));
    expect((await service.renew(second, makeCsr())).status).toBe(201);
  });

  test('a bad CSR of a good instance', async () => {
    const identity = await service.enrolled();
    await refuse({ status: 400, code: 'csr-malformed', says: /DER/ }, () => service.renew(identity, Buffer.from('nonsense')));
    await refuse({ status: 403, code: 'names-not-granted', says: /CN=admin/ }, () => service.renew(identity, makeCsr({ subject: [{ type: 'CN', value: 'admin' }] })));
    await refuse({ status: 403, code: 'ttl-not-granted', says: /at most 86400 s/ }, () => service.renew(identity, makeCsr(), { ttlSeconds: 86_401 }));
    expect((await service.renew(identity, makeCsr())).status).toBe(201);
  });
});

/** One exchange on the mutual TLS door; says whether its session was resumed. */
function exchange(options: https.RequestOptions & { session?: Buffer }, json?: object): Promise<{ reply: Reply; resumed: boolean; socket: TLSSocket }> {
  const { ports, rootPem: ca } = service.signet;
  return new Promise((resolve, reject) => {
    const body = json === undefined ? undefined : JSON.stringify(json);
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length };
    const request = https.request({ host: '127.0.0.1', port: ports.mtls, ca, agent: false, headers, ...options }, (response) => {
      const socket = response.socket as TLSSocket;
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('end', () => resolve({ reply: { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }, resumed: socket.isSessionReused(), socket }));
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** The last session ticket of a connection that used its certificate. */
async function sessionOf(identity: Identity): Promise<Buffer> {
  let session: Buffer | undefined;
  const { ports, rootPem: ca } = service.signet;
  await new Promise<void>((resolve, reject) => {
    const request = https.get({ host: '127.0.0.1', port: ports.mtls, ca, cert: identity.chain, key: identity.key, agent: false, path: `/v1/status/${identity.serial}` }, (response) => {
      response.resume().once('end', resolve);
    });
    request.once('socket', (socket) => socket.on('session', (ticket: Buffer) => (session = ticket)));
    request.once('error', reject);
  });
  if (!session) throw new Error('the door gave no session ticket');
  return session;
}

describe('after its death:', () => {
  test('ours and expired is told apart from a stranger', async () => {
    await deathOf(leafOf(brief));
    await refuseRenewal(expired, brief);
    await refuse(expired, () => service.mtls(brief).send('GET', `/v1/status/${brief.serial}`));
  });

  test('on a TLS session resumed from when it lived', async () => {
    const session = await resumable;
    await deathOf(leafOf(brief));
    const { reply, resumed } = await exchange({ session, path: `/v1/status/${brief.serial}` });
    expect(resumed).toBe(true);
    expectRefused(reply, expired);
    const renewal = await unchanged(service.database, () => exchange({ session, method: 'POST', path: '/v1/certificates/renew' }, { csr: makeCsr().toString('base64') }));
    expect(renewal.resumed).toBe(true);
    expectRefused(renewal.reply, expired);
  });

  test('on a TLS session resumed after its revocation', async () => {
    const identity = await service.enrolled();
    const session = await sessionOf(identity);
    const before = await exchange({ session, path: `/v1/status/${identity.serial}` });
    expect([before.reply.status, before.resumed]).toEqual([200, true]);
    await service.order(`/v1/certificates/${identity.serial}/revoke`);
    const { reply, resumed } = await exchange({ session, path: `/v1/status/${identity.serial}` });
    expect(resumed).toBe(true);
    expectRefused(reply, { status: 403, code: 'client-certificate-revoked', says: /revoked/ });
  });

  test('on a connection that was open when it lived', async () => {
    const pair = makeKeyAndCsr();
    const short = identityOf(await service.enroll(await service.joinToken(await service.register()), pair.csr, { ttlSeconds: 2 }), pair);
    const { urls, rootPem: ca } = service.signet;
    const client = createClient({ url: urls.mtls, ca, identity: short, connections: 1 });
    expect((await client.send('GET', `/v1/status/${short.serial}`)).status).toBe(200);
    await deathOf(leafOf(short));
    expectRefused(await client.send('GET', `/v1/status/${short.serial}`), expired);
    client.close();
  });
});
