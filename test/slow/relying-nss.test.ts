/** NSS, the library of Firefox, as a relying party: vfychain with OCSP by the address in the certificate. It is the strictest about DER. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { decodePemAll } from '../../src/x509/pem.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, run, versionOf, type Verdict } from '../support/interop.ts';
import { ALL_KINDS, altered, forged, openSite, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { makeCsrByOpenssl, openssl } from '../support/openssl.ts';

const program = await outsideProgram({
  name: 'nss (vfychain)',
  debianPackage: 'libnss3-tools',
  must: true,
  // It knows no question about its version; the library does, in its file.
  version: async () => ((await versionOf('vfychain', [], /(Usage)/i)) === undefined ? undefined : ((await versionOf('dpkg-query', ['-W', '-f', '${Version}', 'libnss3-tools'], /^(?:\d+:)?(\S+)/)) ?? 'unknown version')),
});

let site: Site;
let leaves: SiteLeaf[];
let databases = 0;
beforeAll(async () => {
  if (!program.isHere) return;
  site = await openSite({ authorityKey: 'ecdsa-p256', makeCsr: makeCsrByOpenssl });
  leaves = await site.populate(ALL_KINDS.filter(({ profile }) => profile !== 'ephemeral'));
}, INTEROP_TIMEOUT_MS);
afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

const [CLIENT, SERVER] = ['0', '1'];

/** `vfychain -m ocsp -s requireInfo`, with a database that trusts this root alone. */
async function verdictOn(chainFile: string, { root = `${site.rootId}.pem`, usage = CLIENT, flags = ['-s', 'requireInfo,failIfNoInfo'] } = {}): Promise<Verdict> {
  const folder = `nss-${++databases}`;
  fs.mkdirSync(path.join(site.folder, folder));
  const database = ['-d', `sql:${folder}`];
  for (const args of [['-N', '--empty-password'], ['-A', '-n', 'root', '-t', 'CT,,', '-a', '-i', root]]) {
    const { code, stderr } = await run('certutil', [...database, ...args], { cwd: site.folder });
    if (code !== 0) throw new Error(stderr);
  }
  const files = decodePemAll(site.read(chainFile), 'CERTIFICATE').map((der, i) => {
    const file = `${folder}/${i}.der`;
    fs.writeFileSync(path.join(site.folder, file), der);
    return file;
  });
  const { code, stdout, stderr } = await run('vfychain', [...database, '-pp', '-u', usage, '-g', 'leaf', '-m', 'ocsp', ...flags, ...files], { cwd: site.folder });
  return { accepted: code === 0 && (stdout + stderr).includes('Chain is good!'), said: stdout + stderr };
}
const REVOKED = /ERROR -8180: Peer's Certificate has been revoked/;

program.test('OCSP: good, revoked and on hold, of every kind', async () => {
  for (const leaf of leaves.filter(({ key }) => key !== 'ed25519')) {
    const verdict = await verdictOn(leaf.chainFile);
    if (leaf.state === 'good') program.expects('good', verdict);
    else program.expects('revoked', verdict, REVOKED);
  }
});

program.test('its limits: Ed25519 it does not know, and as a server it wants keyEncipherment of an RSA key', async () => {
  const good = leaves.filter(({ state, profile }) => state === 'good' && profile === 'agent');
  for (const leaf of good) {
    const asServer = await verdictOn(leaf.chainFile, { usage: SERVER });
    if (leaf.key === 'ed25519') program.expects('known-bad', await verdictOn(leaf.chainFile), /ERROR -8049: Unrecognized Object Identifier/);
    else if (leaf.key === 'rsa-2048') program.expects('known-bad', asServer, /ERROR -8102: Certificate key usage inadequate/);
    else program.expects('good', asServer);
  }
});

program.test('OCSP: killed, resumed, retired: at the next question after the acknowledgement', async () => {
  const agent = await site.enroll({ key: 'ecdsa-p256', profile: 'agent' });
  program.expects('good', await verdictOn(agent.chainFile));
  const resume = await site.kill(agent);
  program.expects('revoked', await verdictOn(agent.chainFile), REVOKED);
  await resume();
  program.expects('good', await verdictOn(agent.chainFile));
  await site.kill(agent, 'retire');
  program.expects('revoked', await verdictOn(agent.chainFile), REVOKED);
});

program.test('refuses what is altered, forged, of another root, and everybody while nobody answers', async () => {
  const good = leaves.find(({ state }) => state === 'good') as SiteLeaf;
  for (const file of [altered(site, good), forged(site, good)]) {
    const chain = site.write(`chain-of-${file}`, site.read(file), site.read(`${site.issuerId}.pem`));
    program.expects('known-bad', await verdictOn(chain), /ERROR -8182/);
  }
  await openssl(site.folder, 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'other-root.key', '-out', 'other-root.pem', '-subj', '/CN=other root', '-days', '1');
  program.expects('known-bad', await verdictOn(good.chainFile, { root: 'other-root.pem' }), /ERROR -81(79|72)/);
  await site.service.signet.stop();
  program.expects('known-bad', await verdictOn(good.chainFile), /ERROR -/);
  // requireInfo alone only asks for an address in the certificate: it fails open.
  expect(await verdictOn(good.chainFile, { flags: ['-s', 'requireInfo'] })).toMatchObject({ accepted: true });
});
