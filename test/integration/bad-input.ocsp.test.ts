/** OCSP questions that are none, about certificates of others, or too many at once (RFC 6960 §2.3, DESIGN §6). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { context, nullValue, octetString, oid, sequence, unsignedInteger } from '../../src/x509/der/writer.ts';
import { encodeExtensions, type Extension } from '../../src/x509/extensions/extension.ts';
import { encodeNonce } from '../../src/x509/extensions/ocsp-nonce.ts';
import { parseOcspResponse, type OcspResponse } from '../../src/x509/ocsp-response.ts';
import { OID } from '../../src/x509/oids.ts';
import { decodePem, decodePemAll, encodePem } from '../../src/x509/pem.ts';
import { subjectPublicKeyBits } from '../../src/x509/public-key.ts';
import type { Reply } from '../support/https-client.ts';
import { expectRefused, unchanged } from '../support/refusals.ts';
import { startService, type Identity, type Service } from '../support/service.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { makeIssuing, makeRoot } from '../support/test-pki.ts';

const run = promisify(execFile);
const OCSP_REQUEST = { 'content-type': 'application/ocsp-request' };
const stranger = makeIssuing(makeRoot('Other Root'), 'Other Issuing CA').certificate;

let service: Service;
let identity: Identity;
let issuer: Certificate;
let root: Certificate;
let folder: string;
beforeAll(async () => {
  service = await startService();
  identity = await service.enrolled();
  issuer = parseCertificate(decodePemAll(identity.chain, 'CERTIFICATE')[1] ?? Buffer.alloc(0));
  root = parseCertificate(decodePem(service.signet.rootPem, 'CERTIFICATE'));
  folder = temporaryFolder('signet-ocsp-');
  fs.writeFileSync(path.join(folder, 'issuer.pem'), encodePem('CERTIFICATE', issuer.der));
  fs.writeFileSync(path.join(folder, 'stranger.pem'), encodePem('CERTIFICATE', stranger.der));
  fs.writeFileSync(path.join(folder, 'root.pem'), service.signet.rootPem);
});
afterAll(async () => {
  fs.rmSync(folder, { recursive: true, force: true });
  await service.close();
});

const ours = () => Buffer.from(identity.serial, 'hex');
const never = () => Buffer.concat([ours().subarray(0, 19), Buffer.of((ours()[19] ?? 0) ^ 1)]);

/** CertID (RFC 6960 §4.1.1) with SHA-1, as most clients ask, or another digest. */
function certId(of: Certificate, serial: Buffer, algorithm: { oid: string; name: string } = { oid: OID.sha1, name: 'sha1' }): Buffer {
  const digest = (data: Buffer) => octetString(createHash(algorithm.name).update(data).digest());
  return sequence(sequence(oid(algorithm.oid), nullValue()), digest(of.subjectName), digest(subjectPublicKeyBits(of.spki)), unsignedInteger(serial));
}

const request = (certIds: Buffer[], ...extensions: Extension[]): Buffer =>
  sequence(sequence(sequence(...certIds.map((id) => sequence(id))), ...(extensions.length > 0 ? [context(2, encodeExtensions(extensions))] : [])));

const post = (bytes: Buffer, headers: Record<string, string> = OCSP_REQUEST): Promise<Reply> => unchanged(service.database, () => service.status.send('POST', '/ocsp', { bytes, headers }));

/** The answer, which by HTTP is always a success (RFC 6960 appendix A.2), and is not to be cached unless it says so itself. */
function answerIn(reply: Reply): OcspResponse {
  expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/ocsp-response']);
  return parseOcspResponse(reply.body);
}

function expectError(reply: Reply, status: OcspResponse['status']): void {
  expect(answerIn(reply)).toEqual({ status, basic: undefined });
  expect(reply.headers['cache-control']).toBe('no-store');
}

const said = (reply: Reply): string[] => (answerIn(reply).basic?.responses ?? []).map(({ certStatus }) => certStatus.status);

describe('not a question:', () => {
  const good = () => request([certId(issuer, ours())]);
  const BROKEN: Record<string, () => Buffer> = {
    nothing: () => Buffer.alloc(0),
    text: () => Buffer.from('is it good?'),
    'truncated by one octet': () => good().subarray(0, -1),
    'one octet behind its end': () => Buffer.concat([good(), Buffer.of(0)]),
    'indefinite length': () => Buffer.concat([Buffer.of(0x30, 0x80), good().subarray(2), Buffer.of(0, 0)]),
    'a length of 2 GiB': () => Buffer.of(0x30, 0x84, 0x7f, 0xff, 0xff, 0xff),
    'no certificate asked for': () => request([]),
    'an empty CertID': () => request([sequence()]),
    'a serial without octets': () => request([sequence(sequence(oid(OID.sha1)), octetString(Buffer.alloc(20)), octetString(Buffer.alloc(20)), Buffer.of(2, 0))]),
    'a negative serial': () => request([sequence(sequence(oid(OID.sha1)), octetString(Buffer.alloc(20)), octetString(Buffer.alloc(20)), Buffer.of(2, 1, 0xff))]),
    'an unknown critical extension': () => request([certId(issuer, ours())], { oid: '1.2.3.4', critical: true, value: nullValue() }),
    'an empty nonce': () => request([certId(issuer, ours())], encodeNonce(Buffer.alloc(0))),
    'a nonce of 129 octets': () => request([certId(issuer, ours())], encodeNonce(Buffer.alloc(129, 1))),
    'two nonces': () => request([certId(issuer, ours())], encodeNonce(Buffer.alloc(8, 1)), encodeNonce(Buffer.alloc(8, 2))),
    'a certificate instead': () => issuer.der,
    '17 certificates': () => request(Array.from({ length: 17 }, () => certId(issuer, ours()))),
    '100 certificates': () => request(Array.from({ length: 100 }, () => certId(issuer, ours()))),
  };

  test.each(Object.entries(BROKEN))('%s', async (_, make) => {
    const bytes = make();
    expectError(await post(bytes), 'malformedRequest');
    if (bytes.length === 0 || bytes.length > 5_000) return;
    expectError(await service.status.send('GET', `/ocsp/${encodeURIComponent(bytes.toString('base64'))}`), 'malformedRequest');
  });

  test.each(['%%%', '%00', '!', 'A', '=', 'MA%3D', 'A'.repeat(9_000)])('GET of %p', async (text) => {
    expectError(await service.status.send('GET', `/ocsp/${text}`), 'malformedRequest');
  });

  test('after all of these a good question gets its answer', async () => {
    expect(said(await post(good()))).toEqual(['good']);
  });
});

describe('by HTTP:', () => {
  test.each([1_000_000, 10_000_000])('%i octets', async (length) => {
    expectRefused(await post(Buffer.alloc(length)), { status: 413, code: 'body-too-large', says: /at most 16384 octets/ });
  });

  test.each(['application/json', 'text/plain', 'application/pkcs10'])('as %s', async (contentType) => {
    const reply = await post(request([certId(issuer, ours())]), { 'content-type': contentType });
    expectRefused(reply, { status: 415, code: 'unsupported-media-type', says: /must be application\/ocsp-request/ });
  });

  test.each(['PUT', 'DELETE', 'PATCH'])('by %s', async (method) => {
    const reply = await unchanged(service.database, () => service.status.send(method, '/ocsp'));
    expectRefused(reply, { status: 405, code: 'method-not-allowed', says: /POST/ });
    expect(reply.headers.allow).toContain('POST');
  });
});

describe('by GET, as clients and proxies write it:', () => {
  /** A question whose base64 holds +, / and padding: the nonce is chosen so. */
  const question = (): string => {
    for (let n = 0; ; n++) {
      const base64 = request([certId(issuer, ours())], encodeNonce(createHash('sha256').update(String(n)).digest().subarray(n % 3))).toString('base64');
      if (/\+.*\/.*=$|\/.*\+.*=$/.test(base64)) return base64;
    }
  };
  test.each<[string, (base64: string) => string]>([
    ['as it is', (base64) => base64],
    ['percent-encoded', encodeURIComponent],
    ['with lower-case escapes', (base64) => base64.replaceAll('/', '%2f').replaceAll('+', '%2b').replaceAll('=', '%3d')],
    ['with everything escaped', (base64) => [...base64].map((digit) => `%${digit.charCodeAt(0).toString(16)}`).join('')],
    ['without padding', (base64) => base64.replace(/=+$/, '')],
    ['after a double slash', (base64) => `/${base64}`],
    ['with %2F alone', (base64) => base64.replaceAll('/', '%2F')],
    ['with a space for +', (base64) => base64.replaceAll('+', '%20')],
  ])('%s', async (_, written) => {
    expect(said(await service.status.send('GET', `/ocsp/${written(question())}`))).toEqual(['good']);
  });

  test('the answer says how long it may be kept (RFC 5019 §6.2), HEAD says the same, and what has not changed is not sent again', async () => {
    const path = `/ocsp/${encodeURIComponent(request([certId(issuer, ours())]).toString('base64'))}`;
    const got = await service.status.send('GET', path);
    const [single] = answerIn(got).basic?.responses ?? [];
    expect(got.headers).toMatchObject({
      'cache-control': expect.stringMatching(/^max-age=60, public, no-transform, must-revalidate$/) as unknown,
      etag: expect.stringMatching(/^"[\w-]{27}"$/) as unknown,
      'last-modified': single?.thisUpdate.toUTCString(),
      expires: single?.nextUpdate?.toUTCString(),
      'content-length': String(got.body.length),
    });
    const cached = (reply: Reply) => ['cache-control', 'etag', 'last-modified', 'expires'].map((name) => reply.headers[name]);
    const head = await service.status.send('HEAD', path);
    expect([head.status, head.body.length, head.headers['content-length'], cached(head)]).toEqual([200, 0, String(got.body.length), cached(got)]);
    const unmodified = await service.status.send('GET', path, { headers: { 'if-none-match': String(got.headers.etag) } });
    expect([unmodified.status, unmodified.body.length, cached(unmodified)]).toEqual([304, 0, cached(got)]);
  });

  test('of nothing at all', async () => {
    expectRefused(await service.status.send('GET', '/ocsp'), { status: 405, code: 'method-not-allowed', says: /POST/ });
    expectRefused(await service.status.send('GET', '/ocsp/'), { status: 404, code: 'not-found', says: /nothing at this address/ });
    expectError(await service.status.send('GET', '/ocsp//'), 'malformedRequest');
  });
});

describe('about others:', () => {
  test('an issuer that is not ours: unauthorized', async () => {
    expectError(await post(request([certId(stranger, ours())])), 'unauthorized');
    expectError(await service.status.send('GET', `/ocsp/${encodeURIComponent(request([certId(stranger, ours())]).toString('base64'))}`), 'unauthorized');
  });

  test("our issuer's name with another key, or its key under another name: unauthorized", async () => {
    for (const mixed of [{ ...issuer, spki: stranger.spki }, { ...issuer, subjectName: stranger.subjectName }]) expectError(await post(request([certId(mixed, ours())])), 'unauthorized');
  });

  test('the root does not answer: its CRL does', async () => {
    expectError(await post(request([certId(root, issuer.serial)])), 'unauthorized');
  });

  test('a digest we do not know', async () => {
    expectError(await post(request([certId(issuer, ours(), { oid: '1.2.840.113549.2.5', name: 'md5' })])), 'unauthorized');
  });

  test("an issuer of others beside ours: the stranger's certificate is unknown, ours good, in the order asked", async () => {
    expect(said(await post(request([certId(stranger, ours()), certId(issuer, ours()), certId(issuer, never())])))).toEqual(['unknown', 'good', 'unknown']);
  });

  test.each([
    ['never issued', never],
    ['of one octet', () => Buffer.of(1)],
    ['zero', () => Buffer.of(0)],
    ['of 1000 octets', () => Buffer.alloc(1000, 0x11)],
    ['of the issuer itself', () => issuer.serial],
  ])('a serial %s is unknown, and that is not kept by caches', async (_, serial) => {
    const reply = await post(request([certId(issuer, serial())]));
    expect(said(reply)).toEqual(['unknown']);
    expect(reply.headers['cache-control']).toBe('no-store');
  });
});

test("the authority's own certificates are known, and are not revoked like a leaf", async () => {
  const [responder] = answerIn(await post(request([certId(issuer, ours())]))).basic?.certificates.map((der) => parseCertificate(der)) ?? [];
  expect(said(await post(request([certId(issuer, responder?.serial ?? Buffer.alloc(1))])))).toEqual(['good']);
  for (const own of [root, issuer, responder]) {
    for (const change of ['revoke', 'hold', 'release']) {
      const reply = await unchanged(service.database, () => service.admin.send('POST', `/v1/certificates/${own?.serial.toString('hex')}/${change}`, { json: {} }));
      expectRefused(reply, { status: 409, code: 'authority-state-conflict', says: /authority itself/ });
    }
  }
  expect(said(await post(request([certId(issuer, ours())])))).toEqual(['good']);
});

describe('asked by openssl:', () => {
  const ask = (issuerFile: string, serials: string[]) =>
    run('openssl', ['ocsp', '-url', `${service.signet.urls.status}/ocsp`, '-issuer', path.join(folder, issuerFile), '-CAfile', path.join(folder, 'root.pem'), ...serials.flatMap((serial) => ['-serial', `0x${serial}`])]).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );

  test('about another issuer', async () => expect(await ask('stranger.pem', [identity.serial])).toMatch(/unauthorized/));
  test('about 100 serials in one', async () => expect(await ask('issuer.pem', Array.from({ length: 100 }, () => identity.serial))).toMatch(/malformedrequest/i));
  test('about 16 serials in one', async () => {
    const answer = await ask('issuer.pem', [identity.serial, ...Array.from({ length: 15 }, (_, i) => identity.serial.slice(0, 36) + String(4096 + i))]);
    expect(answer).toMatch(/Response verify OK/);
    expect(answer.match(/: good$/gm)).toHaveLength(1);
    expect(answer.match(/: unknown$/gm)).toHaveLength(15);
  });
});
