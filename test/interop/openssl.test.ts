/** OpenSSL as a relying party: `openssl verify`, `openssl ocsp`, `openssl s_client` against the built program; its keys and CSRs are OpenSSL's, too. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { encodePem } from '../../src/x509/pem.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, versionOf, type Verdict } from '../support/interop.ts';
import { ALL_KINDS, altered, AUTHORITY_KEYS, flipBit, forged, impostorRoot, LEAF_STATES, openSite, type LeafKind, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { askOcsp, askOcspByGet, fits, makeCsrByOpenssl, openssl, tlsCall, verify, type OcspQuestion, type VerifyOptions } from '../support/openssl.ts';

const program = await outsideProgram({
  name: 'openssl',
  debianPackage: 'openssl',
  must: true,
  version: () => versionOf('openssl', ['version'], /^OpenSSL (\S+)/),
});

const REVOKED = /certificate revoked/;
/** The states are shown in every way a CertID can be written, with and without a nonce. */
const HASHES: [string, string[]][] = [['SHA-1', []], ['SHA-256', ['-sha256']]];
const NONCES: [string, string][] = [['a nonce', '-nonce'], ['no nonce', '-no_nonce']];
const AN_HOUR_AND_MORE = 5_400;

/** On the first authority everything is shown; on the others what depends on the authority's key. */
const SITES: { authorityKey: (typeof AUTHORITY_KEYS)[number]; shards: number; kinds: readonly LeafKind[] }[] = [
  { authorityKey: 'ecdsa-p256', shards: 1, kinds: ALL_KINDS },
  { authorityKey: 'ecdsa-p384', shards: 4, kinds: [{ key: 'ecdsa-p384', profile: 'agent' }, { key: 'rsa-2048', profile: 'service' }, { key: 'ed25519', profile: 'ephemeral' }] },
  { authorityKey: 'ed25519', shards: 1, kinds: [{ key: 'ed25519', profile: 'agent' }, { key: 'ecdsa-p256', profile: 'ephemeral' }] },
];

describe.each(SITES)('openssl with authority keys $authorityKey and $shards CRL shard(s)', ({ authorityKey, shards, kinds }) => {
  let site: Site;
  let leaves: SiteLeaf[];
  let lists: string;
  beforeAll(async () => {
    site = await openSite({ authorityKey, shards, makeCsr: makeCsrByOpenssl });
    leaves = await site.populate(kinds);
    lists = await site.completeLists();
  }, INTEROP_TIMEOUT_MS);
  afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

  const root = () => `${site.rootId}.pem`;
  const options = (leaf: SiteLeaf, more: Partial<VerifyOptions> = {}): VerifyOptions => ({ root: root(), untrusted: leaf.chainFile, lists, leaf: leaf.file, ...more });
  const question = (leaf: SiteLeaf, more: Partial<OcspQuestion> = {}): OcspQuestion => ({ root: root(), issuer: `${leaf.issuerId}.pem`, leaf: leaf.file, ...more });
  const rootWithLists = () => site.write('root-with-lists.pem', ...[root(), lists].map((file) => fs.readFileSync(path.join(site.folder, file), 'utf8')));
  const one = (state: SiteLeaf['state']): SiteLeaf => leaves.find((leaf) => leaf.state === state) as SiteLeaf;

  /** The chain is verified, and the list says what state it is in. */
  async function expectVerdict(leaf: SiteLeaf, more: Partial<VerifyOptions> = {}): Promise<void> {
    const verdict = await verify(site, options(leaf, more));
    if (leaf.state === 'good') program.expects('good', verdict);
    else program.expects('revoked', verdict, REVOKED);
  }

  async function expectAnswer(leaf: SiteLeaf, answer: Promise<Verdict>): Promise<void> {
    const verdict = await answer;
    const reason = leaf.state === 'held' ? 'certificateHold' : 'keyCompromise';
    if (leaf.state === 'good') program.expects('good', verdict);
    else program.expects('revoked', verdict, new RegExp(`${leaf.file}: revoked[^]*Reason: ${reason}[^]*Response verify OK`));
  }

  program.test('verify -x509_strict -crl_check_all judges every kind of certificate by the complete lists', async () => {
    await Promise.all(leaves.map((leaf) => expectVerdict(leaf)));
  });

  if (shards > 1) {
    program.test('verify takes the concatenated shards, and each certificate names its own', async () => {
      const numbers = Array.from({ length: shards }, (_, shard) => shard);
      const concatenated = await site.lists({ issuerId: site.rootId }, ...numbers.map((shard) => ({ issuerId: site.issuerId, shard })));
      for (const leaf of leaves.filter(({ profile }) => profile !== 'ephemeral')) {
        expect(numbers).toContain(leaf.shard);
        const own = await site.lists({ issuerId: site.rootId }, { issuerId: site.issuerId, shard: leaf.shard ?? 0 });
        await Promise.all([expectVerdict(leaf, { lists: concatenated }), expectVerdict(leaf, { lists: own })]);
      }
      const revoked = one('revoked');
      const other = await site.lists({ issuerId: site.rootId }, { issuerId: site.issuerId, shard: ((revoked.shard ?? 0) + 1) % shards });
      program.expects('known-bad', await verify(site, options(revoked, { lists: other })), /[Dd]ifferent CRL scope|unable to get certificate CRL/);

      // One that names no list needs the complete one: its limit (DESIGN §6); when this fails, OpenSSL has learnt noRevAvail.
      const unnamed = leaves.find(({ profile, state }) => profile === 'ephemeral' && state === 'good') as SiteLeaf;
      expect(await verify(site, options(unnamed, { lists: concatenated }))).toMatchObject({ accepted: false, said: expect.stringMatching(/different CRL scope/i) });
    });
  }

  program.test('verify refuses what is altered, forged, expired, or comes without its list', async () => {
    const good = one('good');
    const issuerList = await site.list(site.issuerId);
    const spoiled = site.write('spoiled-lists.pem', fs.readFileSync(path.join(site.folder, await site.lists({ issuerId: site.rootId })), 'utf8'), encodePem('X509 CRL', flipBit(issuerList, Buffer.from(one('revoked').serial, 'hex'))));
    const unlike = /certificate signature failure|unable to (get|verify)|signature algorithm mismatch/;
    const controls: [Partial<VerifyOptions>, RegExp][] = [
      [{ leaf: altered(site, good) }, unlike],
      // A revoked one that changes its number is on no list any more.
      [{ leaf: altered(site, one('revoked')) }, unlike],
      [{ leaf: forged(site, good) }, unlike],
      [{ root: impostorRoot(site) }, /unable to|self.signed|signature failure|mismatch/],
      [{ lists: await site.lists({ issuerId: site.rootId }) }, /unable to get certificate CRL/],
      [{ lists: await site.lists({ issuerId: site.issuerId }) }, /unable to get certificate CRL/],
      [{ lists: spoiled }, /CRL signature failure/],
      [{ more: ['-attime', String(Math.floor(Date.now() / 1000) + AN_HOUR_AND_MORE)] }, /certificate has expired/],
      [{ more: ['-purpose', 'crlsign'] }, /unsupported certificate purpose|unsuitable certificate purpose/],
    ];
    await Promise.all(controls.map(async ([change, why]) => program.expects('known-bad', await verify(site, options(good, change)), why)));
  });

  program.test('ocsp: good, revoked and on hold; SHA-1 and SHA-256 CertIDs; POST and GET; with a nonce and without', async () => {
    const asked: Promise<void>[] = [];
    for (const state of LEAF_STATES) {
      for (const [, hash] of HASHES) {
        for (const [, nonce] of NONCES) asked.push(expectAnswer(one(state), askOcsp(site, question(one(state), { hash, more: [nonce] }))), expectAnswer(one(state), askOcspByGet(site, question(one(state), { hash, more: [nonce] }))));
      }
    }
    await Promise.all(asked);
  });

  program.test('ocsp: every certificate in one request; never issued: unknown; nothing of ours: unauthorized', async () => {
    const certificates = leaves.slice(0, 14).flatMap((leaf) => ['-cert', leaf.file]);
    const neverIssued = `0x${one('good').serial.slice(0, 8)}${'5a'.repeat(16)}`;
    const from = ['-url', `${site.service.signet.urls.status}/ocsp`, '-CAfile', root()];
    const many = await openssl(site.folder, 'ocsp', '-issuer', `${site.issuerId}.pem`, ...certificates, '-serial', neverIssued, '-serial', '1', ...from);
    expect(many).toMatchObject({ code: 0, stderr: expect.stringContaining('Response verify OK') });
    for (const leaf of leaves.slice(0, 14)) expect(many.stdout).toContain(`${leaf.file}: ${leaf.state === 'good' ? 'good' : 'revoked'}`);
    for (const serial of [neverIssued, '1']) expect(many.stdout).toContain(`${serial}: unknown`);
    program.expects('known-bad', { accepted: many.stdout.includes(`${neverIssued}: good`), said: many.stdout }, /: unknown/);

    // The root does not answer OCSP, its list does; the other is none of ours.
    for (const issuer of [root(), impostorRoot(site)]) {
      const foreign = await openssl(site.folder, 'ocsp', '-issuer', issuer, '-serial', '1', ...from);
      program.expects('known-bad', { accepted: foreign.code === 0, said: foreign.stdout + foreign.stderr }, /unauthorized \(6\)/);
    }
  });

  program.test('ocsp refuses an answer that is altered, for another certificate, for another nonce, or under another root', async () => {
    const [good, revoked] = [one('good'), one('revoked')];
    const ask = (leaf: SiteLeaf, request: string, answer: string, nonce: string) => askOcsp(site, question(leaf, { more: [nonce, '-reqout', request, '-respout', answer] }));
    await expectAnswer(revoked, ask(revoked, 'revoked.req', 'revoked.resp', '-no_nonce'));
    await expectAnswer(good, ask(good, 'good.req', 'good.resp', '-nonce'));
    await expectAnswer(good, ask(good, 'other.req', 'other.resp', '-nonce'));
    const bytes = fs.readFileSync(path.join(site.folder, 'revoked.resp'));
    fs.writeFileSync(path.join(site.folder, 'altered.resp'), flipBit(bytes, Buffer.from(revoked.serial, 'hex')));
    const same = altered(site, revoked);
    const impostor = impostorRoot(site);
    const controls: [Promise<Verdict>, RegExp][] = [
      [askOcsp(site, question(revoked, { leaf: same }), ['-respin', 'altered.resp']), /Response Verify Failure/],
      [askOcsp(site, question(good), ['-respin', 'revoked.resp']), /No Status found/],
      [askOcsp(site, question(good, { root: impostor, more: ['-no_nonce'] }), ['-respin', 'good.resp']), /Response Verify Failure/],
      [fits(site, question(good), 'good.req', 'other.resp'), /Nonce Verify error/],
    ];
    for (const [verdict, why] of controls) program.expects('known-bad', await verdict, why);
    program.expects('good', await fits(site, question(good), 'good.req', 'good.resp'));
  });

  program.test('s_client: both doors show a chain that verifies with its status, in TLS 1.3 only', async () => {
    const [good, revoked] = [one('good'), one('revoked')];
    const status = `/v1/status/${good.serial}`;
    const { api, mtls } = site.service.signet.ports;
    const call = { root: rootWithLists(), request: '/healthz', more: ['-verify_ip', '127.0.0.1'] };
    for (const port of [api, mtls]) {
      const connect = `127.0.0.1:${port}`;
      const answer = await tlsCall(site, { ...call, connect, ...(port === mtls ? { client: good, request: status } : {}) });
      program.expects('good', answer);
      expect(answer).toMatchObject({ protocol: 'TLSv1.3', status: 200 });
      // Leaf and issuer are sent, the root is not.
      expect(answer.said.match(/^ *\d s:/gm)).toHaveLength(2);
      const controls: [Partial<Parameters<typeof tlsCall>[1]>, RegExp][] = [
        [{ more: ['-tls1_2'] }, /alert protocol version/],
        [{ root: impostorRoot(site) }, /certificate verify failed|unable to|self.signed/],
        [{ more: ['-verify_hostname', 'signet.example.test'] }, /hostname mismatch/i],
      ];
      await Promise.all(controls.map(async ([change, why]) => program.expects('known-bad', await tlsCall(site, { ...call, connect, ...change }), why)));
    }

    const served = async (client: SiteLeaf | undefined) => (await tlsCall(site, { ...call, connect: `127.0.0.1:${mtls}`, request: status, ...(client && { client }) })).status;
    expect({ good: await served(good), revoked: await served(revoked), held: await served(one('held')), none: await served(undefined) }).toEqual({ good: 200, revoked: 403, held: 403, none: 401 });
  });

  program.test('s_client: a session is resumed, and no longer serves a certificate that was revoked meanwhile', async () => {
    const leaf = await site.enroll({ key: 'ecdsa-p256', profile: 'agent' });
    const call = { root: rootWithLists(), connect: `127.0.0.1:${site.service.signet.ports.mtls}`, client: leaf, request: `/v1/status/${leaf.serial}` };
    const first = await tlsCall(site, { ...call, more: ['-sess_out', 'session.pem'] });
    expect(first).toMatchObject({ accepted: true, status: 200, isResumed: false });
    expect(await tlsCall(site, { ...call, more: ['-sess_in', 'session.pem'] })).toMatchObject({ accepted: true, status: 200, isResumed: true });
    leaves.push(await site.bring(leaf, 'revoked'));
    expect(await tlsCall(site, { ...call, more: ['-sess_in', 'session.pem'] })).toMatchObject({ status: 403, isResumed: true });
  });

  if (authorityKey !== 'ecdsa-p256') return;

  program.test('a certificate that is released, and one that is renewed, are good', async () => {
    const released = await site.bring(one('held'), 'good');
    const renewed = await site.renew(one('good'));
    lists = await site.completeLists();
    for (const leaf of [released, renewed]) {
      await expectVerdict(leaf);
      await expectAnswer(leaf, askOcsp(site, question(leaf)));
    }
  });

  program.test('after issuer rotation both issuers are answered for, and neither speaks for the other', async () => {
    const older = [one('good'), one('revoked')];
    const next = await site.rotateIssuer();
    const newer = await site.populate([{ key: 'ecdsa-p256', profile: 'agent' }]);
    expect(newer.map((leaf) => leaf.issuerId)).toEqual([next, next, next]);
    lists = await site.completeLists();
    for (const leaf of [...older, ...newer]) {
      await expectVerdict(leaf);
      await expectAnswer(leaf, askOcsp(site, question(leaf)));
    }
    const elder = older[0] as SiteLeaf;
    program.expects('known-bad', await verify(site, options(elder, { untrusted: `${next}.pem` })), /unable to get local issuer/);
    const asked = await openssl(site.folder, 'ocsp', '-issuer', `${next}.pem`, '-serial', `0x${elder.serial}`, '-url', `${site.service.signet.urls.status}/ocsp`, '-CAfile', root());
    program.expects('known-bad', { accepted: asked.stdout.includes(': good'), said: asked.stdout + asked.stderr }, /: unknown[^]*Response verify OK/);
  });

  program.test('after root rollover the old root alone verifies everything, the new one alone what is issued under it', async () => {
    const older = one('good');
    const next = await site.rollOverRoot();
    const newer = await site.populate([{ key: 'ecdsa-p256', profile: 'agent' }, { key: 'ecdsa-p256', profile: 'ephemeral' }]);
    lists = await site.completeLists();
    const [oldRoot, newRoot] = [root(), `${next.rootId}.pem`];
    const both = site.write('both-roots.pem', ...[oldRoot, newRoot].map((file) => fs.readFileSync(path.join(site.folder, file), 'utf8')));
    for (const trusted of [oldRoot, newRoot, both]) for (const leaf of newer) await expectVerdict(leaf, { root: trusted });
    for (const trusted of [oldRoot, both]) await expectVerdict(older, { root: trusted });
    program.expects('known-bad', await verify(site, options(older, { root: newRoot })), /unable to get/);
    // The cross certificate is what leads there.
    const withoutCross = site.write('without-cross.pem', fs.readFileSync(path.join(site.folder, `${next.issuerId}.pem`), 'utf8'));
    program.expects('known-bad', await verify(site, options(newer[0] as SiteLeaf, { untrusted: withoutCross })), /unable to get/);

    const chain = site.write('issuer-and-cross.pem', ...[`${next.issuerId}.pem`, `${next.crossId}.pem`].map((file) => fs.readFileSync(path.join(site.folder, file), 'utf8')));
    for (const leaf of newer) {
      await expectAnswer(leaf, askOcsp(site, question(leaf, { root: newRoot })));
      await expectAnswer(leaf, askOcsp(site, question(leaf, { more: ['-verify_other', chain] })));
    }
  });
});
