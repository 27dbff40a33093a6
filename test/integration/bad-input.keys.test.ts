/** Keys that are weak, exotic, somebody else's, revoked or used before. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { bitString, integer, nullValue, oid, sequence } from '../../src/x509/der/writer.ts';
import { OID } from '../../src/x509/oids.ts';
import { makeCsr, makeKey, opensslCsr, requestInfo, requestOf } from '../support/csr.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Service } from '../support/service.ts';

let service: Service;
let agentId: string;
let token: string;
beforeAll(async () => {
  service = await startService();
  agentId = await service.register();
  token = await service.joinToken(agentId);
});
afterAll(() => service.close());

const weak = (says: RegExp): Refusal => ({ status: 422, code: 'key-weak', says });
const exotic: Refusal = { status: 422, code: 'key-type-not-allowed', says: /P-256, P-384, Ed25519 or RSA of 2048 to 4096 bits/ };
const unproven: Refusal = { status: 400, code: 'csr-signature-invalid', says: /not signed by its own key/ };

const spkiOf = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' });
/** A request with a key that need not be able to sign: it is judged before its signature. */
const unsigned = (spki: Buffer): Buffer => requestOf(requestInfo({ spki }), Buffer.alloc(64));
const rsa = (modulus: bigint, exponent: bigint): Buffer => sequence(sequence(oid(OID.rsaEncryption), nullValue()), bitString(sequence(integer(modulus), integer(exponent))));

/** A modulus of `bits` bits that nobody made as a key. */
const oddModulus = (bits: number): bigint => (1n << BigInt(bits - 1)) + (1n << BigInt(bits >> 1)) + 0x10001n;

const p256 = spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
const point = p256.subarray(-65);
const p256With = (key: Buffer): Buffer => sequence(sequence(oid(OID.ecPublicKey), oid(OID.secp256r1)), bitString(key));
const compressed = Buffer.concat([Buffer.of(2 + ((point[64] ?? 0) & 1)), point.subarray(1, 33)]);
const offCurve = Buffer.concat([point.subarray(0, 64), Buffer.of((point[64] ?? 0) ^ 1)]);
const ed25519 = (key: Buffer): Buffer => sequence(sequence(oid(OID.ed25519)), bitString(key));

const KEYS: Record<string, [make: () => Buffer, refusal: Refusal]> = {
  'RSA-1024 of openssl': [() => opensslCsr(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024']), weak(/1024 bits, fewer than 2048/)],
  'RSA-2047': [() => unsigned(rsa(oddModulus(2047), 65_537n)), weak(/2047 bits, fewer than 2048/)],
  'RSA-8192': [() => unsigned(rsa(oddModulus(8192), 65_537n)), { status: 422, code: 'key-type-not-allowed', says: /8192 bits, more than 4096/ }],
  'RSA with exponent 1': [() => unsigned(rsa(oddModulus(2048), 1n)), weak(/exponent/)],
  'RSA with an even exponent': [() => unsigned(rsa(oddModulus(2048), 65_536n)), weak(/exponent/)],
  'RSA with an even modulus': [() => unsigned(rsa(oddModulus(2048) + 1n, 65_537n)), weak(/RSA key/)],
  'RSA-PSS': [() => unsigned(spkiOf(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey)), exotic],
  'secp256k1 of openssl': [() => opensslCsr(['ecparam', '-name', 'secp256k1', '-genkey', '-noout']), exotic],
  'P-521 of openssl': [() => opensslCsr(['ecparam', '-name', 'secp521r1', '-genkey', '-noout']), exotic],
  'P-224 of openssl': [() => opensslCsr(['ecparam', '-name', 'secp224r1', '-genkey', '-noout']), exotic],
  'brainpoolP256r1 of openssl': [() => opensslCsr(['ecparam', '-name', 'brainpoolP256r1', '-genkey', '-noout']), exotic],
  'P-256 with its parameters written out, of openssl': [() => opensslCsr(['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-param_enc', 'explicit']), exotic],
  'Ed448 of openssl': [() => opensslCsr(['genpkey', '-algorithm', 'ED448']), exotic],
  'DSA of openssl': [() => opensslCsr(['dsaparam', '-genkey', '1024']), exotic],
  'X25519, which cannot sign': [() => unsigned(spkiOf(generateKeyPairSync('x25519').publicKey)), exotic],
  'a key of an unknown kind': [() => unsigned(sequence(sequence(oid('1.2.3.4')), bitString(Buffer.alloc(32, 7)))), exotic],
  'P-256 as a compressed point': [() => unsigned(p256With(compressed)), { status: 422, code: 'key-type-not-allowed', says: /uncompressed form/ }],
  'P-256 as the point at infinity': [() => unsigned(p256With(Buffer.of(0))), { status: 422, code: 'key-type-not-allowed', says: /uncompressed form/ }],
  'a point that is not on P-256': [() => unsigned(p256With(offCurve)), unproven],
  'Ed25519 of small order': [() => unsigned(ed25519(Buffer.concat([Buffer.of(1), Buffer.alloc(31)]))), weak(/small order/)],
  'Ed25519 cut short': [() => unsigned(ed25519(Buffer.alloc(31, 9))), { status: 422, code: 'key-type-not-allowed', says: /ed25519/ }],
  'P-256 signed with SHA-1, of openssl': [() => opensslCsr(['ecparam', '-name', 'prime256v1', '-genkey', '-noout'], ['-sha1']), unproven],
  'RSA-2048 signed with MD5, of openssl': [() => opensslCsr(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'], ['-md5']), unproven],
};

describe('weak or exotic:', () => {
  test.each(Object.entries(KEYS))('%s', async (_, [make, refusal]) => {
    const csr = make();
    expectRefused(await unchanged(service.database, () => service.enroll(token, csr)), refusal);
  });

  test('after all of these the join token is unspent', async () => {
    expect((await service.enroll(token, makeCsr())).status).toBe(201);
  });
});

const inUse = (says: RegExp): Refusal => ({ status: 409, code: 'key-in-use', says });
const blocked: Refusal = { status: 403, code: 'key-blocked', says: /revoked certificate; make a new key pair/ };

test('a key of another agent is refused, and its certificate stays what it was', async () => {
  const pair = makeKeyAndCsr();
  const owner = await service.enrolled(undefined, pair);
  const other = await service.joinToken(agentId);
  expectRefused(await unchanged(service.database, () => service.enroll(other, pair.csr)), inUse(/certified before; make a new key pair/));
  const status = await service.mtls(owner).send('GET', `/v1/status/${owner.serial}`);
  expect(status.body.toString()).toContain('"good"');
  expect((await service.enroll(other, makeCsr())).status).toBe(201);
});

test('a key of another instance of the same agent is refused: the message does not speak of another agent', async () => {
  const pair = makeKeyAndCsr();
  await service.enrolled(agentId, pair);
  const another = await service.joinToken(agentId);
  const problem = expectRefused(await unchanged(service.database, () => service.enroll(another, pair.csr)), { status: 409, code: 'key-not-fresh', says: /certified before, for this agent; make a new key pair/ });
  expect(problem.title + problem.next).not.toMatch(/another agent/);
});

test('the key of a revoked certificate is blocked, for its agent and for all others, at enrollment and at renewal', async () => {
  const pair = makeKeyAndCsr();
  const revoked = await service.enrolled(agentId, pair);
  await service.order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'keyCompromise' });
  const bystander = await service.enrolled();
  for (const agent of [agentId, await service.register()]) {
    const fresh = await service.joinToken(agent);
    expectRefused(await unchanged(service.database, () => service.enroll(fresh, pair.csr)), blocked);
    expect((await service.enroll(fresh, makeCsr())).status).toBe(201);
  }
  expectRefused(await unchanged(service.database, () => service.renew(bystander, pair.csr)), blocked);
  expect((await service.renew(bystander, makeCsr())).status).toBe(201);
});

test('a renewal with the key of another agent is refused', async () => {
  const pair = makeKeyAndCsr();
  await service.enrolled(undefined, pair);
  const thief = await service.enrolled();
  expectRefused(await unchanged(service.database, () => service.renew(thief, pair.csr)), inUse(/make a new key pair/));
});

test("a CA's own public keys are nobody's agent key: without the private key nothing can be proven", async () => {
  const fresh = await service.joinToken(agentId);
  const ca = spkiOf(createPublicKey(service.signet.rootPem));
  expectRefused(await unchanged(service.database, () => service.enroll(fresh, makeCsr({ key: makeKey(), spki: ca }))), unproven);
});
