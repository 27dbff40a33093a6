import { createHash, createPrivateKey, sign as cryptoSign } from 'node:crypto';
import { beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AuthoritySnapshot, Issuer, Responder } from '../../../../src/authorities/authorities.ts';
import { SignetError } from '../../../../src/core/errors.ts';
import type { Logger } from '../../../../src/core/log.ts';
import { createMetrics } from '../../../../src/core/metrics.ts';
import { createOcspResponder } from '../../../../src/revocation/ocsp/responder.ts';
import { createRevocationSignals } from '../../../../src/revocation/signals.ts';
import { createStatusReader, MAX_FEED_AGE_MS } from '../../../../src/revocation/status-reader.ts';
import { context, integer, octetString, oid, sequence, nullValue, unsignedInteger } from '../../../../src/x509/der/writer.ts';
import { parseOcspResponse, type BasicOcspResponse } from '../../../../src/x509/ocsp-response.ts';
import { fakeStatusTable, serialOf } from '../fake-status-table.ts';

const START = new Date('2026-11-21T00:00:00.400Z');
const NOW = new Date('2026-11-21T00:00:00Z');
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** An Ed25519 key: its signatures are the same for the same octets. */
const PRIVATE_KEY = createPrivateKey({ key: Buffer.from(`302e020100300506032b657004220420${'5a'.repeat(32)}`, 'hex'), format: 'der', type: 'pkcs8' });
const SPKI = Buffer.from('302a300506032b6570032100d54b1f1d5a6e9b8a8c3e1d2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d', 'hex');
const ED25519 = sequence(oid('1.3.101.112'));
const RESPONDER_DER = sequence(octetString(Buffer.from('responder')));

const sha = (algorithm: 'sha1' | 'sha256', octets: string) => createHash(algorithm).update(octets).digest();
const ALGORITHMS = { sha1: oid('1.3.14.3.2.26'), sha256: oid('2.16.840.1.101.3.4.2.1') };

function certId(issuer: string, serial: Buffer, algorithm: 'sha1' | 'sha256' = 'sha1') {
  return sequence(
    sequence(ALGORITHMS[algorithm], nullValue()),
    octetString(sha(algorithm, `name of ${issuer}`)),
    octetString(sha(algorithm, `key of ${issuer}`)),
    unsignedInteger(serial),
  );
}
function requestFor(certIds: Buffer[], nonce?: Buffer) {
  const extension = nonce && context(2, sequence(sequence(oid('1.3.6.1.5.5.7.48.1.2'), octetString(octetString(nonce)))));
  return sequence(sequence(sequence(...certIds.map((id) => sequence(id))), ...(extension ? [extension] : [])));
}

function setUp(options: { cacheEntries?: number; maxAgeSeconds?: number; signingMax?: number } = {}) {
  const table = fakeStatusTable('A');
  const signals = createRevocationSignals();
  const feed = { age: 0, positionAgeMs: () => feed.age };
  const clock = { at: START, now: () => clock.at, monotonicMs: () => clock.at.getTime() };
  const responder = {
    id: 'responder-A', issuerId: 'A', der: RESPONDER_DER, certificate: { spki: SPKI }, signatureAlgorithm: ED25519,
    notBefore: new Date('2026-11-20T00:00:00Z'), notAfter: new Date('2026-11-28T00:00:00Z'),
    key: { signatures: 0, sign: (data: Uint8Array) => { responder.key.signatures++; return Promise.resolve(cryptoSign(null, data, PRIVATE_KEY)); } },
  };
  const responders = new Map([['A', responder], ['B', { ...responder, id: 'responder-B', issuerId: 'B' }]]);
  const snapshot = {
    responderFor: (id: string) => responders.get(id) as unknown as Responder | undefined,
    byNameAndKeyHash: (algorithm: 'sha1' | 'sha256', nameHash: Uint8Array, keyHash: Uint8Array) =>
      ['A', 'B']
        .filter((id) => sha(algorithm, `name of ${id}`).equals(nameHash) && sha(algorithm, `key of ${id}`).equals(keyHash))
        .map((id) => ({ id }) as Issuer)[0],
  } as unknown as AuthoritySnapshot;
  const config = { ocspCacheEntries: options.cacheEntries ?? 100, statusBatchMax: 100, ocspMaxAgeSeconds: options.maxAgeSeconds ?? 60, ocspMaxCertIds: 16, ocspValiditySeconds: 600, ocspSigningMax: options.signingMax ?? 1_000 };
  const errors: unknown[] = [];
  const ocsp = createOcspResponder({
    authorities: { snapshot: () => snapshot },
    statuses: createStatusReader({ readRows: table.readRows, signals, feed, clock, config }),
    signals, feed, clock, config,
    metrics: createMetrics(),
    log: { error: (...args: unknown[]) => errors.push(args) } as unknown as Logger,
  });
  const signal = (serial: Buffer) => signals.changed([{ serial, issuerId: 'A', shard: 0 }]);
  const ask = async (der: Buffer) => {
    const answer = await ocsp.answer(der);
    return { ...answer, parsed: parseOcspResponse(answer.bytes) };
  };
  const statusesOf = async (der: Buffer) => (await ask(der)).parsed.basic?.responses.map((single) => single.certStatus);
  return { table, signals, feed, clock, responder, responders, ocsp, signal, ask, statusesOf, errors };
}

let h: ReturnType<typeof setUp>;
beforeEach(() => {
  h = setUp();
  for (const n of [1, 2, 3]) h.table.issue(serialOf(n));
});

test('OcspResponder: answers good, signed, with the responder, its certificate and whole seconds', async () => {
  const id = certId('A', serialOf(1));
  const { parsed, headers } = await h.ask(requestFor([id]));
  const basic = parsed.basic as BasicOcspResponse;
  expect(parsed.status).toBe('successful');
  expect(basic.responses).toEqual([expect.objectContaining({ certId: id, certStatus: { status: 'good' }, thisUpdate: NOW, nextUpdate: new Date(NOW.getTime() + 600_000) })]);
  expect(basic.producedAt).toEqual(NOW);
  expect(basic.certificates).toEqual([RESPONDER_DER]);
  expect(basic.responder).toEqual({ keyHash: createHash('sha1').update(SPKI.subarray(-32)).digest() });
  expect(basic.signatureAlgorithm.equals(ED25519)).toBe(true);
  expect(basic.signature.equals(cryptoSign(null, basic.responseData, PRIVATE_KEY))).toBe(true);
  expect(headers).toEqual({
    'content-type': 'application/ocsp-response',
    'cache-control': 'max-age=60, public, no-transform, must-revalidate',
    etag: expect.stringMatching(/^"[\w-]{27}"$/) as unknown,
    'last-modified': 'Sat, 21 Nov 2026 00:00:00 GMT',
    expires: 'Sat, 21 Nov 2026 00:10:00 GMT',
  });
});

test('OcspResponder: answers revoked with time and reason, a hold as certificateHold, and good again after its release', async () => {
  h.table.revoke(serialOf(1), NOW, 1);
  h.table.revoke(serialOf(2), NOW, 0);
  h.table.putOnHold(serialOf(3), NOW);
  expect(await h.statusesOf(requestFor([1, 2, 3].map((n) => certId('A', serialOf(n)))))).toEqual([
    { status: 'revoked', at: NOW, reason: 1 },
    { status: 'revoked', at: NOW },
    { status: 'revoked', at: NOW, reason: 6 },
  ]);
  h.table.putOnHold(serialOf(3), null);
  h.signal(serialOf(3));
  expect(await h.statusesOf(requestFor([certId('A', serialOf(3))]))).toEqual([{ status: 'good' }]);
});

test('OcspResponder: a serial never issued, one of another issuer, and CertIDs of other issuers are unknown, never good', async () => {
  h.table.issue(serialOf(4), { issuerId: 'B' });
  const answer = await h.ask(requestFor([
    certId('A', serialOf(9)), certId('A', serialOf(4)), certId('B', serialOf(4)), certId('stranger', serialOf(1)), certId('A', Buffer.of(5)), certId('A', serialOf(1)),
  ]));
  expect(answer.parsed.basic?.responses.map((single) => single.certStatus.status)).toEqual(['unknown', 'unknown', 'unknown', 'unknown', 'unknown', 'good']);
  expect(answer.headers['cache-control']).toBe('no-store');
});

test('OcspResponder: none of our issuers is unauthorized; the first known issuer decides who signs', async () => {
  expect((await h.ask(requestFor([certId('stranger', serialOf(1))]))).parsed.status).toBe('unauthorized');
  h.table.issue(serialOf(4), { issuerId: 'B' });
  expect(await h.statusesOf(requestFor([certId('stranger', serialOf(4)), certId('B', serialOf(4)), certId('A', serialOf(1))]))).toEqual([
    { status: 'unknown' }, { status: 'good' }, { status: 'unknown' },
  ]);
});

test('OcspResponder: an unknown digest in the CertID names none of ours', async () => {
  const id = sequence(sequence(oid('2.16.840.1.101.3.4.2.3')), octetString(Buffer.alloc(64)), octetString(Buffer.alloc(64)), integer(5));
  expect((await h.ask(requestFor([id]))).parsed.status).toBe('unauthorized');
});

test.each([1, 32, 33, 128])('OcspResponder: a nonce of %i octets comes back and the answer is not cached', async (length) => {
  const nonce = Buffer.alloc(length, 0xab);
  const request = requestFor([certId('A', serialOf(1))], nonce);
  const first = await h.ask(request);
  expect(first.parsed.basic?.nonce).toEqual(nonce);
  expect(first.headers['cache-control']).toBe('no-store');
  await h.ask(request);
  expect(h.responder.key.signatures).toBe(2);
  expect(h.table.statements).toHaveLength(1);
});

test.each([0, 129])('OcspResponder: a nonce of %i octets is malformed (RFC 9654)', async (length) => {
  expect((await h.ask(requestFor([certId('A', serialOf(1))], Buffer.alloc(length)))).parsed.status).toBe('malformedRequest');
});

test('OcspResponder: more CertIDs than the limit are malformed', async () => {
  const ids = (n: number) => Array.from({ length: n }, (_, i) => certId('A', serialOf(i)));
  expect((await h.ask(requestFor(ids(16)))).parsed.status).toBe('successful');
  expect((await h.ask(requestFor(ids(17)))).parsed.status).toBe('malformedRequest');
  expect((await h.ask(requestFor(ids(100)))).parsed.status).toBe('malformedRequest');
});

test('OcspResponder: the same question is answered with the same bytes until max-age, then signed anew', async () => {
  const request = requestFor([certId('A', serialOf(1))]);
  const first = await h.ask(request);
  h.clock.at = new Date(NOW.getTime() + 59_999);
  expect((await h.ask(request)).bytes.equals(first.bytes)).toBe(true);
  h.clock.at = new Date(NOW.getTime() + 60_000);
  const later = await h.ask(request);
  expect(later.parsed.basic?.producedAt).toEqual(h.clock.at);
  expect(h.responder.key.signatures).toBe(2);
  expect(h.table.statements).toHaveLength(1);
});

test('OcspResponder: SHA-1 and SHA-256 CertIDs of one certificate are cached side by side and dropped together', async () => {
  const [old, young] = [requestFor([certId('A', serialOf(1), 'sha1')]), requestFor([certId('A', serialOf(1), 'sha256')])];
  for (const request of [old, young, old, young]) await h.ask(request);
  expect(h.responder.key.signatures).toBe(2);
  h.table.revoke(serialOf(1), NOW, 1);
  h.signal(serialOf(1));
  for (const request of [old, young]) expect(await h.statusesOf(request)).toEqual([{ status: 'revoked', at: NOW, reason: 1 }]);
});

test('OcspResponder: a CertID that differs only in its form is not answered with another one cached', async () => {
  const raw = certId('A', serialOf(1));
  const bare = sequence(sequence(ALGORITHMS.sha1), octetString(sha('sha1', 'name of A')), octetString(sha('sha1', 'key of A')), unsignedInteger(serialOf(1)));
  for (const id of [raw, bare, raw]) expect((await h.ask(requestFor([id]))).parsed.basic?.responses[0]?.certId).toEqual(id);
});

test('OcspResponder: a revocation signalled while the status is read is in the answer (invariant 13)', async () => {
  const gate = h.table.holdStatements();
  const answer = h.statusesOf(requestFor([certId('A', serialOf(1))]));
  await turn();
  h.table.revoke(serialOf(1), NOW, 1);
  h.signal(serialOf(1));
  gate.open();
  expect(await answer).toEqual([{ status: 'revoked', at: NOW, reason: 1 }]);
});

test('OcspResponder: a revocation signalled while the answer is signed is in the answer, and the good one is not cached', async () => {
  const { sign } = h.responder.key;
  h.responder.key.sign = async (data) => {
    h.responder.key.sign = sign;
    h.table.revoke(serialOf(1), NOW, 1);
    h.signal(serialOf(1));
    return sign(data);
  };
  const request = requestFor([certId('A', serialOf(1))]);
  expect(await h.statusesOf(request)).toEqual([{ status: 'revoked', at: NOW, reason: 1 }]);
  expect(await h.statusesOf(request)).toEqual([{ status: 'revoked', at: NOW, reason: 1 }]);
});

test('OcspResponder: a thousand clients that ask the same at once cost one lookup and one signature, also the second time', async () => {
  const request = requestFor([certId('A', serialOf(1))]);
  const asked = () => Promise.all(Array.from({ length: 1_000 }, () => h.ask(request)));
  const first = await asked();
  expect(first.every(({ bytes }) => bytes.equals(first[0]?.bytes as Buffer))).toBe(true);
  expect([h.table.statements.map((serials) => serials.length), h.responder.key.signatures]).toEqual([[1], 1]);
  // What is remembered of the status is not signed a thousand times either.
  h.clock.at = new Date(NOW.getTime() + 61_000);
  await asked();
  expect([h.table.statements.length, h.responder.key.signatures]).toEqual([1, 2]);
});

test('OcspResponder: who waits for the answer to another one never gets one that was overtaken (invariant 13)', async () => {
  const request = requestFor([certId('A', serialOf(1))]);
  const gate = h.table.holdStatements();
  const before = h.statusesOf(request);
  await turn();
  h.table.revoke(serialOf(1), NOW, 1);
  h.signal(serialOf(1));
  // The revocation is acknowledged; this one asks while the reading from before it is still under way.
  const after = h.statusesOf(request);
  gate.open();
  expect(await Promise.all([before, after])).toEqual([[{ status: 'revoked', at: NOW, reason: 1 }], [{ status: 'revoked', at: NOW, reason: 1 }]]);
  expect(await h.statusesOf(request)).toEqual([{ status: 'revoked', at: NOW, reason: 1 }]);
  expect(h.responder.key.signatures).toBe(2);
});

test('OcspResponder: a fault is told to all who waited, and not remembered', async () => {
  const request = requestFor([certId('A', serialOf(1))]);
  h.table.beforeAnswer = () => {
    throw new SignetError('database-unavailable', 'gone');
  };
  const answers = await Promise.all([h.ask(request), h.ask(request)]);
  expect(answers.map(({ parsed }) => parsed.status)).toEqual(['tryLater', 'tryLater']);
  h.table.beforeAnswer = () => undefined;
  expect((await h.ask(request)).parsed.status).toBe('successful');
});

test('OcspResponder: questions with a nonce each get their own signature', async () => {
  const answers = await Promise.all([1, 2, 3].map((n) => h.ask(requestFor([certId('A', serialOf(1))], Buffer.of(n)))));
  expect(answers.map(({ parsed }) => parsed.basic?.nonce)).toEqual([1, 2, 3].map((n) => Buffer.of(n)));
  expect([h.table.statements.length, h.responder.key.signatures]).toEqual([1, 3]);
});

test('OcspResponder: when too many answers wait for the key store, more are told tryLater; cached ones are given', async () => {
  const slow = setUp({ signingMax: 2 });
  for (const n of [1, 2, 3, 4]) slow.table.issue(serialOf(n));
  const request = (n: number) => requestFor([certId('A', serialOf(n))]);
  await slow.ask(request(4));
  const { promise: keyStore, resolve } = Promise.withResolvers<void>();
  const { sign } = slow.responder.key;
  slow.responder.key.sign = async (data) => {
    await keyStore;
    return sign(data);
  };
  const waiting = [slow.ask(request(1)), slow.ask(request(2))];
  await turn();
  await turn();
  expect((await slow.ask(request(3))).parsed.status).toBe('tryLater');
  expect((await slow.ask(request(4))).parsed.status).toBe('successful');
  resolve();
  expect((await Promise.all(waiting)).map(({ parsed }) => parsed.status)).toEqual(['successful', 'successful']);
  expect((await slow.ask(request(3))).parsed.status).toBe('successful');
});

test('OcspResponder: an old feed position stops cached good, not cached revoked for ever', async () => {
  h.table.revoke(serialOf(2), NOW, 1);
  const [good, revoked] = [requestFor([certId('A', serialOf(1))]), requestFor([certId('A', serialOf(2))])];
  for (const request of [good, revoked]) await h.ask(request);
  h.feed.age = MAX_FEED_AGE_MS + 1;
  for (const request of [good, revoked]) await h.ask(request);
  expect(h.table.statements.map(([serial]) => serial)).toEqual([serialOf(1), serialOf(2), serialOf(1)]);
});

test('OcspResponder: with an old feed position and no database the answer is tryLater, never a remembered good', async () => {
  const request = requestFor([certId('A', serialOf(1))]);
  await h.ask(request);
  h.feed.age = MAX_FEED_AGE_MS + 1;
  h.table.beforeAnswer = () => {
    throw new SignetError('database-unavailable', 'gone');
  };
  expect((await h.ask(request)).parsed.status).toBe('tryLater');
});

test('OcspResponder: what cannot be explained is internalError and logged', async () => {
  h.table.beforeAnswer = () => {
    throw new TypeError('a bug');
  };
  expect((await h.ask(requestFor([certId('A', serialOf(1))]))).parsed.status).toBe('internalError');
  expect(h.errors).toHaveLength(1);
});

test('OcspResponder: nextUpdate never outlives the responder; a dead or missing responder is tryLater', async () => {
  h.responder.notAfter = new Date(NOW.getTime() + 30_000);
  const answer = await h.ask(requestFor([certId('A', serialOf(1))]));
  expect(answer.parsed.basic?.responses[0]?.nextUpdate).toEqual(h.responder.notAfter);
  expect(answer.headers['cache-control']).toMatch(/^max-age=29, /);
  h.clock.at = h.responder.notAfter;
  expect((await h.ask(requestFor([certId('A', serialOf(1))]))).parsed.status).toBe('tryLater');
  h.responders.delete('A');
  expect((await h.ask(requestFor([certId('A', serialOf(1))]))).parsed.status).toBe('tryLater');
});

test('OcspResponder: after a change of responder nothing the old one signed is given', async () => {
  const request = requestFor([certId('A', serialOf(1))]);
  await h.ask(request);
  h.responders.set('A', { ...h.responder, id: 'responder-A2', der: sequence(octetString(Buffer.from('new'))) });
  expect((await h.ask(request)).parsed.basic?.certificates).toEqual([sequence(octetString(Buffer.from('new')))]);
});

test('OcspResponder: without a cache everything is signed anew', async () => {
  const plain = setUp({ cacheEntries: 0 });
  plain.table.issue(serialOf(1));
  for (let i = 0; i < 2; i++) expect(await plain.statusesOf(requestFor([certId('A', serialOf(1))]))).toEqual([{ status: 'good' }]);
  expect(plain.table.statements).toHaveLength(2);
});

test('OcspResponder: any octets give an OCSP error answer and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (octets) => {
      expect((await h.ask(Buffer.from(octets))).parsed.status).toBe('malformedRequest');
    }),
  );
});

test('OcspResponder: a request with octets changed gives an answer or an OCSP error, never another fault', async () => {
  const request = requestFor([certId('A', serialOf(1)), certId('A', serialOf(2))], Buffer.alloc(16, 1));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(request.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), async (changes) => {
      const changed = Buffer.from(request);
      for (const [at, value] of changes) changed[at] = value;
      const { parsed } = await h.ask(changed);
      expect(['successful', 'malformedRequest', 'unauthorized']).toContain(parsed.status);
    }),
  );
  expect(h.errors).toEqual([]);
});

test('OcspResponder: recall gives the kept answer to exactly the same octets, and only while it may be given', async () => {
  const der = requestFor([certId('A', serialOf(1))]);
  const recall = (request = der) => h.ocsp.recall(request, h.clock.now());
  expect(recall()).toBeUndefined();
  const { bytes, headers } = await h.ask(der);
  expect(recall()).toEqual({ octets: bytes.toString('latin1'), headers });
  // The same question in other octets is not recognised, though `answer` finds the same answer.
  const withRequestor = sequence(sequence(context(1, octetString(Buffer.of(1))), sequence(sequence(certId('A', serialOf(1))))));
  for (const other of [requestFor([certId('A', serialOf(1), 'sha256')]), requestFor([certId('A', serialOf(1))], Buffer.of(7)), requestFor([certId('B', serialOf(1))]), withRequestor, der.subarray(-20), Buffer.concat([der.subarray(0, 1), der])]) {
    expect(recall(other)).toBeUndefined();
  }
  expect((await h.ask(withRequestor)).bytes).toEqual(bytes);
  // A change that was signalled, a feed that is not followed, another responder, an answer that is too old.
  h.feed.age = MAX_FEED_AGE_MS + 1;
  expect(recall()).toBeUndefined();
  h.feed.age = 0;
  h.responders.set('A', { ...h.responder, id: 'responder-A2' });
  expect(recall()).toBeUndefined();
  h.responders.set('A', { ...h.responder, notAfter: START });
  expect(recall()).toBeUndefined();
  h.responders.set('A', h.responder);
  expect(recall()).toBeDefined();
  h.signal(serialOf(1));
  expect(recall()).toBeUndefined();
  await h.ask(der);
  expect(recall()).toBeDefined();
  h.clock.at = new Date(START.getTime() + 60_000);
  expect(recall()).toBeUndefined();
});
