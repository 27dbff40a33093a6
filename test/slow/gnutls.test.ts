/** GnuTLS as a relying party: certtool and ocsptool against the built program; its keys and CSRs are GnuTLS's, too. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { encodePem } from '../../src/x509/pem.ts';
import { ask, certtool, makeCsrByCerttool, verifyChain, verifyList } from '../support/gnutls.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, versionOf } from '../support/interop.ts';
import { ALL_KINDS, altered, AUTHORITY_KEYS, flipBit, forged, impostorRoot, openSite, type LeafKind, type Site, type SiteLeaf } from '../support/interop-site.ts';

const program = await outsideProgram({
  name: 'gnutls',
  debianPackage: 'gnutls-bin',
  must: true,
  version: () => versionOf('certtool', ['--version'], /^certtool (\S+)/),
});

const REVOKED = /The certificate is NOT trusted\. The certificate chain is revoked/;
const UNTRUSTED = /The certificate is NOT trusted/;
const NO_REV_AVAIL = '2.5.29.56';
const SHARDS = 4;
/** A list carries whole seconds: of two, the newer one is known after this. */
const NEXT_SECOND_MS = 1_100;

const SITES: { authorityKey: (typeof AUTHORITY_KEYS)[number]; shards: number; kinds: readonly LeafKind[] }[] = [
  { authorityKey: 'ecdsa-p256', shards: 1, kinds: ALL_KINDS },
  { authorityKey: 'ecdsa-p384', shards: SHARDS, kinds: [{ key: 'ecdsa-p384', profile: 'agent' }, { key: 'rsa-2048', profile: 'service' }] },
  { authorityKey: 'ed25519', shards: 1, kinds: [{ key: 'ed25519', profile: 'agent' }, { key: 'ecdsa-p256', profile: 'ephemeral' }] },
];

describe.each(SITES)('gnutls with authority keys $authorityKey and $shards CRL shard(s)', ({ authorityKey, shards, kinds }) => {
  let site: Site;
  let leaves: SiteLeaf[];
  let lists: string;
  beforeAll(async () => {
    site = await openSite({ authorityKey, shards, makeCsr: makeCsrByCerttool });
    leaves = await site.populate(kinds);
    lists = await site.completeLists();
  }, INTEROP_TIMEOUT_MS);
  afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

  const root = () => `${site.rootId}.pem`;
  const read = (file: string) => fs.readFileSync(path.join(site.folder, file), 'utf8');
  const one = (state: SiteLeaf['state']): SiteLeaf => leaves.find((leaf) => leaf.state === state) as SiteLeaf;

  async function expectVerdict(leaf: SiteLeaf, more: { root?: string; lists?: string } = {}): Promise<void> {
    const verdict = await verifyChain(site, { root: root(), chain: leaf.chainFile, lists, ...more });
    if (leaf.state === 'good') program.expects('good', verdict);
    else program.expects('revoked', verdict, REVOKED);
  }

  async function expectAnswer(leaf: SiteLeaf, more: string[] = []): Promise<void> {
    // It takes a delegated signer only from the issuer itself (reference/interop.md).
    const issuer = `${leaf.issuerId}.pem`;
    const verdict = await ask(site, { leaf: leaf.file, issuer, trusted: issuer, more });
    if (leaf.state === 'good') program.expects('good', verdict);
    else program.expects('revoked', verdict, /Certificate Status: revoked[^]*Verifying OCSP Response: Success/);
  }

  program.test('certtool --verify judges every kind of certificate by the complete lists', async () => {
    await Promise.all(leaves.map((leaf) => expectVerdict(leaf)));
  });

  program.test('certtool --verify refuses what is altered, forged, or under another root', async () => {
    const good = one('good');
    const issuer = read(`${site.issuerId}.pem`);
    const chainOf = (file: string) => site.write(`chain-of-${file}`, read(file), issuer);
    const controls: [{ root: string; chain: string; lists: string }, RegExp][] = [
      [{ root: root(), chain: chainOf(altered(site, good)), lists }, UNTRUSTED],
      // A revoked one that changes its number is on no list any more.
      [{ root: root(), chain: chainOf(altered(site, one('revoked'))), lists }, UNTRUSTED],
      [{ root: root(), chain: chainOf(forged(site, good)), lists }, UNTRUSTED],
      [{ root: impostorRoot(site), chain: good.chainFile, lists }, UNTRUSTED],
    ];
    for (const [shown, why] of controls) program.expects('known-bad', await verifyChain(site, shown), why);
    // Its limit: without a list of the issuer it knows nothing and accepts (docs/relying-parties.md).
    expect(await verifyChain(site, { root: root(), chain: one('revoked').chainFile, lists: await site.lists({ issuerId: site.rootId }) })).toMatchObject({ accepted: true });
  });

  program.test('certtool --verify-crl: each list is its issuer\'s, and an altered one is not', async () => {
    const names = [undefined, ...(shards > 1 ? Array.from({ length: shards }, (_, shard) => shard) : [])];
    const issuer = `${site.issuerId}.pem`;
    for (const shard of names) {
      const list = await site.lists({ issuerId: site.issuerId, ...(shard === undefined ? {} : { shard }) });
      program.expects('good', await verifyList(site, { issuer, list }));
      program.expects('known-bad', await verifyList(site, { issuer: root(), list }), UNTRUSTED);
    }
    program.expects('good', await verifyList(site, { issuer: root(), list: await site.lists({ issuerId: site.rootId }) }));
    const spoiled = flipBit(await site.list(site.issuerId), Buffer.from(one('revoked').serial, 'hex'));
    program.expects('known-bad', await verifyList(site, { issuer, list: site.write('spoiled.crl.pem', encodePem('X509 CRL', spoiled)) }), UNTRUSTED);
  });

  program.test('certtool -i reads certificates of every profile, and every list', async () => {
    for (const leaf of leaves) {
      const { code, stdout, stderr } = await certtool(site.folder, '-i', '--infile', leaf.file);
      expect({ code, faults: /error|warning|invalid/i.exec(stdout + stderr) }).toEqual({ code: 0, faults: null });
      expect(stdout).toContain(`URI: spiffe://signet.internal/agent/${leaf.identity.agentId}`);
      expect(stdout).toContain(`Serial Number (hex): ${leaf.serial}`);
      const unknown = [...stdout.matchAll(/Unknown extension (\S+)/g)].map(([, oid]) => oid);
      expect(unknown).toEqual(leaf.profile === 'ephemeral' ? [NO_REV_AVAIL] : []);
    }
    const names = [{ issuerId: site.rootId }, { issuerId: site.issuerId }, ...(shards > 1 ? Array.from({ length: shards }, (_, shard) => ({ issuerId: site.issuerId, shard })) : [])];
    for (const name of names) {
      const { code, stdout, stderr } = await certtool(site.folder, '--crl-info', '--infile', await site.lists(name));
      expect({ code, faults: /error|warning|invalid/i.exec(stdout + stderr) }).toEqual({ code: 0, faults: null });
      expect(stdout).toContain('CRL Number (not critical)');
      expect(stdout).toContain('Authority Key Identifier (not critical)');
    }
  });

  program.test('ocsptool --ask: good, revoked and on hold, with a nonce and without; not from another issuer', async () => {
    await Promise.all(leaves.flatMap((leaf) => [expectAnswer(leaf), expectAnswer(leaf, ['--nonce'])]));
    const good = one('good');
    const issuer = `${site.issuerId}.pem`;
    program.expects('known-bad', await ask(site, { leaf: good.file, issuer, trusted: impostorRoot(site) }), /Verifying OCSP Response: Failure/);
    program.expects('known-bad', await ask(site, { leaf: altered(site, good), issuer, trusted: issuer }), /Certificate Status: unknown/);
  });

  if (authorityKey === 'ecdsa-p256') {
    program.test('after issuer rotation and after root rollover: the old root alone verifies everything, the new one alone what is issued under it', async () => {
      const older = [one('good'), one('revoked'), one('held')];
      const kind: LeafKind = { key: 'ecdsa-p256', profile: 'agent' };
      await site.rotateIssuer();
      const rotated = await site.populate([kind]);
      const next = await site.rollOverRoot();
      const newer = await site.populate([kind, { key: 'ecdsa-p256', profile: 'ephemeral' }]);
      lists = await site.completeLists();
      const newRoot = `${next.rootId}.pem`;
      const both = site.write('both-roots.pem', read(root()), read(newRoot));
      for (const leaf of [...older, ...rotated, ...newer]) {
        await expectVerdict(leaf);
        await expectVerdict(leaf, { root: both });
        await expectAnswer(leaf);
      }
      for (const leaf of newer) await expectVerdict(leaf, { root: newRoot });
      program.expects('known-bad', await verifyChain(site, { root: newRoot, chain: one('good').chainFile, lists }), UNTRUSTED);
      // The cross certificate is what leads there.
      const [leaf] = newer as [SiteLeaf];
      const withoutCross = site.write('without-cross.pem', read(leaf.file), read(`${next.issuerId}.pem`));
      program.expects('known-bad', await verifyChain(site, { root: root(), chain: withoutCross, lists }), UNTRUSTED);
    });
  }

  if (shards > 1) {
    program.test('certtool keeps one list of an issuer: with shards it accepts what an older one revokes, so it is given the complete list', async () => {
      const [older, newer] = await inTwoShards(site);
      await site.bring(older, 'revoked');
      await sleep(NEXT_SECOND_MS);
      await site.bring(newer, 'revoked');
      const names = [older, newer].map(({ shard }) => ({ issuerId: site.issuerId, shard: shard ?? 0 }));
      const concatenated = await site.lists({ issuerId: site.rootId }, ...names);
      const verdict = await verifyChain(site, { root: root(), chain: older.chainFile, lists: concatenated });
      // Its limit, not ours: when this fails, GnuTLS has learnt better and DESIGN §6 may say so.
      expect(verdict).toMatchObject({ accepted: true });
      for (const leaf of [older, newer]) await expectVerdict({ ...leaf, state: 'revoked' }, { lists: await site.completeLists() });
    });
  }
});

/** Two good certificates that are on different shards. */
async function inTwoShards(site: Site): Promise<[SiteLeaf, SiteLeaf]> {
  const kind: LeafKind = { key: 'ecdsa-p256', profile: 'agent' };
  const first = await site.enroll(kind);
  for (let tries = 0; tries < 40; tries++) {
    const second = await site.enroll(kind);
    if (second.shard !== first.shard) return [first, second];
  }
  throw new Error('forty certificates on one shard of four');
}
