/** Proofs, evidence and receipts of a running Signet, judged with nothing but the root certificate and the log key. */
import { createHash, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { consistencyProof, evidence, inclusionProof, type Evidence } from '../../src/api/audit-proofs.ts';
import { issuedCertificate } from '../../src/api/certificates.ts';
import { issuanceProof } from '../../src/api/log-proofs.ts';
import { findLiveLog } from '../../src/db/audit-logs.ts';
import { openCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { verifyEvidence, type EvidenceTrust } from '../../src/verify/log/evidence.ts';
import { logTrust, verifyIssuanceProof } from '../../src/verify/log/issuance-proof.ts';
import { LogError } from '../../src/verify/log/log-error.ts';
import { verifyConsistency, verifyInclusion } from '../../src/verify/log/merkle.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePem, decodePemAll } from '../../src/x509/pem.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { identityOf } from '../support/fault/fleet.ts';
import { jsonOf, type Reply } from '../support/https-client.ts';
import { noteSigner } from '../support/log.ts';
import { makeRoot } from '../support/test-pki.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
let logKey: string;
let trust: EvidenceTrust;
let first: Identity;
let enrolled: ReturnType<typeof issuedCertificate.parse>;

const fingerprintOf = (pem: string): string => createHash('sha256').update(decodePem(pem, 'CERTIFICATE')).digest('hex');
const hexes = (hashes: readonly string[]): Buffer[] => hashes.map((hash) => Buffer.from(hash, 'hex'));
const codeOf = (reply: Reply): [number, string] => [reply.status, jsonOf<{ code: string }>(reply).code];

/** Asks until what was just done is in a checkpoint: each refusal before says when to come again. */
async function logged(path: string): Promise<Reply> {
  for (;;) {
    const reply = await service.admin.send('GET', path);
    if (reply.status !== 503) return reply;
    expect(codeOf(reply)).toEqual([503, 'event-not-logged']);
    expect(reply.headers['retry-after']).toBe('1');
    await sleep(100);
  }
}

beforeAll(async () => {
  service = await startService();
  logKey = (await findLiveLog(service.database.db))?.vkey ?? '';
  trust = { ...logTrust({ logKey }), roots: decodePemAll(service.signet.rootPem, 'CERTIFICATE').map((der) => parseCertificate(der)) };
  const pair = makeKeyAndCsr();
  const reply = await service.enroll(await service.joinToken(await service.register()), pair.csr);
  enrolled = issuedCertificate.parse(jsonOf(reply));
  first = identityOf(reply, pair);
}, 90_000);
afterAll(() => service.close());

describe('a receipt', () => {
  test('names the event of the issuance, and its leaf hash is the one in the tree', async () => {
    const proof = inclusionProof.parse(jsonOf(await logged(`/v1/audit/${enrolled.receipt?.eventId ?? ''}/proof`)));
    expect(proof).toMatchObject({ id: enrolled.receipt?.eventId, leafHash: enrolled.receipt?.leafHash });
    const checkpoint = openCheckpoint(proof.checkpoint ?? '', trust);
    expect([checkpoint.size, checkpoint.root.toString('hex')]).toEqual([proof.size, proof.root]);
    verifyInclusion(hexes(proof.proof), { index: proof.index, size: proof.size, leaf: Buffer.from(proof.leafHash, 'hex'), root: checkpoint.root });
    // By number it is the same.
    expect(inclusionProof.parse(jsonOf(await logged(`/v1/audit/${proof.n}/proof?size=${proof.size}`)))).toEqual(proof);
  });

  test('is the same in an answer that is given again', async () => {
    const pair = makeKeyAndCsr();
    const agent = service.mtls(first);
    const renew = () => agent.send('POST', '/v1/certificates/renew', { json: { csr: pair.csr }, headers: { 'idempotency-key': 'again' } });
    const [answer, again] = [jsonOf<{ receipt: unknown }>(await renew()), jsonOf<{ receipt: unknown }>(await renew())];
    agent.close();
    expect(again.receipt).toEqual(answer.receipt);
    expect(answer.receipt).not.toEqual(enrolled.receipt);
  });

  test('is proven to a relying party by fingerprint, for exactly this certificate', async () => {
    const certificate = decodePem(enrolled.certificate, 'CERTIFICATE');
    const proof = issuanceProof.parse(jsonOf(await logged(`/v1/certificates/${fingerprintOf(enrolled.certificate)}/proof`)));
    expect(verifyIssuanceProof({ certificate, proof, logKey })).toMatchObject({ logged: { event: { kind: 'certificate.issued', serial: enrolled.serial } } });
    expect(verifyIssuanceProof({ certificate: decodePem(enrolled.chain, 'CERTIFICATE'), proof, logKey })).toMatchObject({ fault: 'other-certificate' });
    expect(verifyIssuanceProof({ certificate, proof, logKey: noteSigner(trust.logKey.name).vkey })).toMatchObject({ fault: 'unknown-log-key' });
    expect(Buffer.from(proof.event, 'base64').toString()).not.toContain('owner@example.com');
    expect(codeOf(await service.admin.send('GET', `/v1/certificates/${'0'.repeat(64)}/proof`))).toEqual([404, 'certificate-not-found']);
    expect((await service.open.send('GET', `/v1/certificates/${fingerprintOf(enrolled.certificate)}/proof`)).status).toBe(401);
    const agent = service.mtls(first);
    expect((await agent.send('GET', `/v1/certificates/${fingerprintOf(enrolled.certificate)}/proof`)).status).toBe(200);
    agent.close();
  });
});

test('the log only grew between any two sizes', async () => {
  const newest = consistencyProof.parse(jsonOf(await service.admin.send('GET', '/v1/audit/consistency?first=1')));
  expect(openCheckpoint(newest.checkpoint ?? '', trust).root.toString('hex')).toBe(newest.secondRoot);
  for (const [from, to] of [[1, newest.second], [2, 3], [3, newest.second], [newest.second, newest.second]]) {
    const said = consistencyProof.parse(jsonOf(await service.admin.send('GET', `/v1/audit/consistency?first=${from}&second=${to}`)));
    verifyConsistency(hexes(said.proof), { first: said.first, second: said.second, firstRoot: Buffer.from(said.firstRoot, 'hex'), secondRoot: Buffer.from(said.secondRoot, 'hex') });
  }
});

test.each([
  ['/v1/audit/999999999999999/proof', 404, 'event-not-found'],
  ['/v1/audit/0/proof', 400, 'invalid-request'],
  ['/v1/audit/9999999999999999/proof', 400, 'invalid-request'],
  ['/v1/audit/01M7YV54J0C1R5T2E3R4J5D6F7/evidence', 404, 'event-not-found'],
  ['/v1/audit/1/proof?size=0', 400, 'invalid-request'],
  ['/v1/audit/2/proof?size=1', 400, 'log-size-invalid'],
  ['/v1/audit/1/proof?size=999999999999999', 400, 'log-size-invalid'],
  ['/v1/audit/consistency?first=0', 400, 'invalid-request'],
  ['/v1/audit/consistency?first=3&second=2', 400, 'log-size-invalid'],
  ['/v1/audit/consistency?first=1&second=999999999999999', 400, 'log-size-invalid'],
  ['/v1/audit/consistency', 400, 'invalid-request'],
])('GET %s is refused: %i %s', async (path, status, code) => {
  expect(codeOf(await service.admin.send('GET', path))).toEqual([status, code]);
});

describe('evidence', () => {
  const take = async (event: string): Promise<Evidence> => evidence.parse(jsonOf(await logged(`/v1/audit/${event}/evidence`)));
  const faultOf = (bundle: unknown, more: Partial<EvidenceTrust> = {}): string => {
    try {
      verifyEvidence(bundle, { ...trust, ...more });
      return 'holds';
    } catch (error) {
      if (error instanceof LogError) return error.fault;
      throw error;
    }
  };
  let bundle: Evidence;
  beforeAll(async () => {
    bundle = await take(enrolled.receipt?.eventId ?? '');
  });

  test('of an enrollment: the certificate, its chain, and the join token that was made before', () => {
    const { proven, unproven } = verifyEvidence(bundle, trust);
    expect(proven.join('\n')).toMatch(new RegExp(`certificate\\.issued, success, by join-token .*[\\s\\S]*Certificate ${enrolled.serial} \\(spiffe://.*[\\s\\S]*join token .* had given at .*join-token\\.created`));
    expect(unproven.join('\n')).toMatch(/no witness that you named cosigned/);
    expect(bundle.certificates.map(({ concerns, serial }) => [concerns, serial])).toEqual([['subject', enrolled.serial]]);
    expect(new X509Certificate(bundle.certificates[0]?.certificate ?? '').subjectAltName).toMatch(/spiffe/);
  });

  test('of a revocation: the API token of the administrator, with its role', async () => {
    const identity = await service.enrolled();
    await service.order(`/v1/certificates/${identity.serial}/revoke`, { reason: 'keyCompromise' });
    const { items } = jsonOf<{ items: { id: string }[] }>(await service.admin.send('GET', `/v1/audit?serial=${identity.serial}&kind=certificate.revoked`));
    const revoked = await take(items[0]?.id ?? '');
    expect(revoked.authority).toMatchObject({ kind: 'api-token', grant: { index: expect.any(Number) } });
    expect(verifyEvidence(revoked, trust).proven.join('\n')).toMatch(/certificate\.revoked, success, by admin[\s\S]*logged when it was issued[\s\S]*API token .* had given/);
    // A grant that is another event, and none where there was one.
    expect(faultOf({ ...revoked, authority: { ...revoked.authority, grant: revoked.certificates[0]?.issuance } })).toBe('other-event');
    expect(faultOf({ ...revoked, authority: { ...revoked.authority, id: '01M7YV54J0C1R5T2E3R4J5D6F7' } })).toBe('other-event');
  });

  test('that was changed anywhere does not hold', () => {
    const [shown] = bundle.certificates;
    if (!shown) throw new Error('no certificate');
    expect(faultOf(bundle)).toBe('holds');
    const damages: [string, unknown][] = [
      ['malformed-proof', { ...bundle, format: 'signet-evidence/v2' }],
      ['malformed-proof', { ...bundle, event: `${bundle.event.slice(0, 10)}!` }],
      ['not-included', { ...bundle, event: Buffer.from(Buffer.from(bundle.event, 'base64').toString().replace('success', 'failure')).toString('base64') }],
      ['not-included', { ...bundle, index: bundle.index - 1 }],
      ['index-beyond-tree', { ...bundle, index: 2 ** 40 }],
      ['other-event', { ...bundle, n: '1' }],
      ['bad-signature', { ...bundle, checkpoint: bundle.checkpoint.replace(/\n\d+\n/, '\n1000\n') }],
      ['other-certificate', { ...bundle, certificates: [{ ...shown, certificate: shown.chain }] }],
      ['certificate-untrusted', { ...bundle, certificates: [{ ...shown, chain: '' }] }],
      ['malformed-proof', { ...bundle, certificates: [{ ...shown, certificate: 'none' }] }],
      ['other-event', { ...bundle, certificates: [{ ...shown, issuance: bundle.authority.grant }] }],
    ];
    for (const [fault, damaged] of damages) expect([fault, faultOf(damaged)]).toEqual([fault, fault]);
    expect(faultOf(bundle, { roots: [makeRoot().certificate] })).toBe('certificate-untrusted');
    expect(faultOf(bundle, { quorum: 1 })).toBe('too-few-witnesses');
    expect(faultOf(bundle, logTrust({ logKey: noteSigner(trust.logKey.name).vkey }))).toBe('unknown-log-key');
  });
});
