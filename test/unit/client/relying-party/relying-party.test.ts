/** The SDK alone, under a fixed clock: a place that certificates point to, and what is believed of its answers. */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createRelyingParty, type RelyingParty, type RelyingPartyOptions } from '../../../../src/client/relying-party/index.ts';
import type { Certificate } from '../../../../src/x509/certificate.ts';
import { encodeAuthorityInformationAccess } from '../../../../src/x509/extensions/authority-information-access.ts';
import { encodeCrlDistributionPoints } from '../../../../src/x509/extensions/crl-distribution-points.ts';
import { encodeExtendedKeyUsage } from '../../../../src/x509/extensions/extended-key-usage.ts';
import { encodeNoRevAvail } from '../../../../src/x509/extensions/no-rev-avail.ts';
import { parseOcspRequest } from '../../../../src/x509/ocsp-request.ts';
import { OID } from '../../../../src/x509/oids.ts';
import { encodePem } from '../../../../src/x509/pem.ts';
import { crlOf, ocspOf, type CrlChange, type OcspChange } from '../../../support/path-requests.ts';
import { temporaryFolder } from '../../../support/postgres.ts';
import { listening } from '../../../support/relying-party.ts';
import { daysFromNow, issue, makeIssuing, makeLeaf, makeRoot, NOW, responderIntent, rootIntent, testKey, TRUST_DOMAIN, withExtensions, withoutExtension, type TestAuthority, type TestCertificate } from '../../../support/test-pki.ts';

const asked: string[] = [];
let answer: (body: Buffer) => Buffer | undefined = () => undefined;
const place = http.createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    asked.push(request.url ?? '');
    const octets = answer(Buffer.concat(parts));
    response.writeHead(octets ? 200 : 503);
    response.end(octets);
  });
});
let base: string;
let folder: string;
const parties: RelyingParty[] = [];
beforeAll(async () => {
  base = `http://127.0.0.1:${await listening(place)}`;
  folder = temporaryFolder('signet-sdk-unit-');
});
afterAll(async () => {
  await Promise.all(parties.map((party) => party.close()));
  fs.rmSync(folder, { recursive: true, force: true });
  place.close();
});
beforeEach(() => {
  asked.splice(0);
  answer = () => undefined;
});

const A_MINUTE_AGO = new Date(NOW.getTime() - 60_000);
const root = makeRoot();
const issuing = makeIssuing(root);
const pemOf = (...certificates: Certificate[]): string => certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
/** Of an issuer, pointing to the place. */
const pointing = (issuer: TestAuthority, label = 'Test Agent'): TestCertificate =>
  makeLeaf(issuer, label, (intent) => ({ extensions: withExtensions(intent, encodeCrlDistributionPoints([`${base}/list.crl`]), encodeAuthorityInformationAccess({ ocsp: [`${base}/ocsp`], caIssuers: [`${base}/issuer.cer`] })) }));

async function open(options: Partial<RelyingPartyOptions> = {}): Promise<RelyingParty> {
  const clock = { now: () => NOW, monotonicMs: () => performance.now() };
  const party = await createRelyingParty({ trustBundle: pemOf(root.certificate), trustDomain: TRUST_DOMAIN, intermediates: pemOf(issuing.certificate), clock, crl: false, ...options });
  parties.push(party);
  return party;
}
const judge = async ({ certificate }: { certificate: Certificate }, options: Partial<RelyingPartyOptions> = {}) => (await open(options)).judgeCertificate([certificate.der]);

describe('OCSP', () => {
  /** An honest responder, but for `change`: each answer repeats the nonce of its question. */
  const respond = (leaf: TestCertificate, change: OcspChange = {}) => {
    answer = (body) => {
      const { nonce } = parseOcspRequest(body);
      return ocspOf(leaf, issuing, { hash: 'sha256', thisUpdate: A_MINUTE_AGO, ...(nonce && { nonce }), ...change });
    };
  };
  const responder = (usage: ('OCSPSigning' | 'clientAuth')[]) => {
    const intent = responderIntent(issuing);
    return { key: testKey('Test OCSP Responder'), certificate: issue({ ...intent, extensions: withExtensions(intent, encodeExtendedKeyUsage(usage)) }, issuing.key) };
  };

  test('of the issuer, or of its responder, is believed', async () => {
    const leaf = pointing(issuing);
    respond(leaf);
    expect(await judge(leaf)).toMatchObject({ allowed: true, source: 'ocsp', logged: 'not-asked' });
    respond(leaf, { signer: responder(['OCSPSigning']) });
    expect(await judge(leaf)).toMatchObject({ allowed: true, source: 'ocsp' });
    respond(leaf, { status: { status: 'revoked', at: daysFromNow(-1), reason: 1 } });
    expect(await judge(leaf)).toMatchObject({ allowed: false, code: 'certificate-revoked' });
    respond(leaf, { status: { status: 'revoked', at: daysFromNow(-1), reason: 6 } });
    expect(await judge(leaf)).toMatchObject({ allowed: false, code: 'certificate-held' });
  });

  test.each<[string, (leaf: TestCertificate) => OcspChange, string]>([
    ['about another serial, its nonce right', () => ({ serial: pointing(issuing, 'Another').certificate.serial }), 'another certificate'],
    ['with a foreign nonce', () => ({ nonce: Buffer.alloc(16, 7) }), 'another nonce'],
    ['by a responder without the key usage', () => ({ signer: responder(['clientAuth']) }), 'not signed by the issuer'],
    ['by a stranger', () => ({ signer: { key: testKey('stranger') } }), 'not signed by the issuer'],
    ['of the day before yesterday', () => ({ thisUpdate: daysFromNow(-2), nextUpdate: daysFromNow(-1) }), 'not of now'],
    ['older than what may be, though it still holds', () => ({ thisUpdate: daysFromNow(-1), nextUpdate: daysFromNow(1) }), 'older than'],
  ])('%s is not believed', async (_, change, why) => {
    const leaf = pointing(issuing);
    respond(leaf, change(leaf));
    expect(await judge(leaf)).toMatchObject({ allowed: false, code: 'status-unknown', detail: expect.stringContaining(why) as unknown });
  });
});

describe('lists', () => {
  const only = { ocsp: false, crl: {} } as const;
  const rp = (list: CrlChange) => {
    answer = () => crlOf(issuing, { thisUpdate: A_MINUTE_AGO, ...list });
    return judge(pointing(issuing), only);
  };
  test('of the issuer count; signed by another key and past their end they say nothing', async () => {
    // The issuer's own list is at an address that nobody answers: who asks for it cannot know.
    expect(await rp({})).toMatchObject({ allowed: false, code: 'status-unknown' });
    expect(asked).toEqual(['/list.crl']);
    expect(await rp({ entries: [{ serial: pointing(issuing).certificate.serial, revokedAt: daysFromNow(-1), reason: 1 }] })).toMatchObject({ allowed: false, code: 'certificate-revoked', source: 'crl' });
    expect(await rp({ key: testKey('stranger') })).toMatchObject({ code: 'status-unknown', detail: expect.stringContaining('not believed') as unknown });
    expect(await rp({ thisUpdate: daysFromNow(-2), nextUpdate: daysFromNow(-1) })).toMatchObject({ code: 'status-unknown' });
  });
});

test('addresses in a certificate that leads to no trusted root are never asked, whatever they are', async () => {
  const stranger = makeIssuing(makeRoot('Strange Root'), 'Strange Issuing CA');
  const leaf = pointing(stranger);
  const party = await open({ crl: {} });
  expect(await party.judgeCertificate([leaf.certificate.der, stranger.certificate.der])).toMatchObject({ allowed: false, code: 'certificate-untrusted', peer: undefined });
  // Nor those of one that has the issuer's name and not its signature.
  const forged = issue({ ...responderIntent(issuing), subject: [{ type: 'CN', value: 'forged' }], extensions: withExtensions(responderIntent(issuing), encodeAuthorityInformationAccess({ ocsp: [`${base}/ocsp`] })) }, testKey('stranger'));
  expect(await party.judgeCertificate([forged.der])).toMatchObject({ allowed: false, code: 'certificate-untrusted' });
  expect(asked).toEqual([]);
});

test('noRevAvail: nobody is asked, and the decision says so', async () => {
  const short = makeLeaf(issuing, 'Test Agent', (intent) => ({ extensions: [...withoutExtension({ ...intent, extensions: withoutExtension(intent, OID.authorityInformationAccess) }, OID.crlDistributionPoints), encodeNoRevAvail()] }));
  expect(await judge(short)).toMatchObject({ allowed: true, source: 'no-revocation' });
});

test('the rule of the service judges whoever is good otherwise', async () => {
  const leaf = pointing(issuing);
  answer = (body) => ocspOf(leaf, issuing, { hash: 'sha256', thisUpdate: A_MINUTE_AGO, nonce: parseOcspRequest(body).nonce ?? Buffer.alloc(0) });
  const shown: string[] = [];
  const accept: RelyingPartyOptions['accept'] = ({ agentId = '' }) => shown.push(agentId) > 1;
  const party = await open({ accept });
  expect(await party.judgeCertificate([leaf.certificate.der])).toMatchObject({ allowed: false, code: 'identity-not-accepted', peer: { serial: leaf.certificate.serial.toString('hex') } });
  expect(await party.judgeCertificate([leaf.certificate.der])).toMatchObject({ allowed: true });
  const broken = await open({
    accept: () => {
      throw new Error('a fault of the rule');
    },
  });
  expect(await broken.judgeCertificate([leaf.certificate.der])).toMatchObject({ allowed: false, code: 'identity-not-accepted' });
});

test('a bundle update with a root that another key signed is kept out whole', async () => {
  const file = path.join(folder, 'bundle.pem');
  fs.writeFileSync(file, pemOf(root.certificate));
  const party = await open({ trustBundle: { file } });
  const second = makeRoot('Second Root').certificate;
  fs.writeFileSync(file, pemOf(root.certificate, second, issue(rootIntent('Forged Root'), testKey('stranger'))));
  await party.refreshTrust();
  expect(party.state().trust).toEqual({ roots: 1, refused: expect.stringContaining('not signed with its own key') as unknown });
  fs.writeFileSync(file, pemOf(root.certificate, second));
  await party.refreshTrust();
  expect(party.state().trust).toEqual({ roots: 2, refused: undefined });
});
