/** NSS, the library of Firefox, as a relying party: vfychain with OCSP by the address in the certificate. It is the strictest about DER. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { decodePemAll } from '../../src/x509/pem.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, run, versionOf, type Verdict } from '../support/interop.ts';
import { ALL_KINDS, altered, forged, impostorRoot, openSite, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { makeCsrByOpenssl } from '../support/openssl.ts';

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

/** `vfychain -m ocsp -s requireInfo`, with a database that trusts this root alone. */
async function verdictOn(chainFile: string, { root = `${site.rootId}.pem`, more = [] as string[] } = {}): Promise<Verdict> {
  const folder = `nss-${++databases}`;
  fs.mkdirSync(path.join(site.folder, folder));
  const database = ['-d', `sql:${folder}`];
  for (const args of [['-N', '--empty-password'], ['-A', '-n', 'root', '-t', 'C,,', '-a', '-i', root]]) {
    const { code, stderr } = await run('certutil', [...database, ...args], { cwd: site.folder });
    if (code !== 0) throw new Error(stderr);
  }
  const files = decodePemAll(site.read(chainFile), 'CERTIFICATE').map((der, i) => {
    const file = `${folder}/${i}.der`;
    fs.writeFileSync(path.join(site.folder, file), der);
    return file;
  });
  const { code, stdout, stderr } = await run('vfychain', [...database, '-pp', '-u', '1', '-g', 'leaf', '-m', 'ocsp', '-s', 'requireInfo', ...more, ...files], { cwd: site.folder });
  return { accepted: code === 0 && (stdout + stderr).includes('Chain is good!'), said: stdout + stderr };
}
const REVOKED = /certificate has been revoked/i;

program.test('OCSP: good, revoked and on hold, of every kind', async () => {
  for (const leaf of leaves) {
    const verdict = await verdictOn(leaf.chainFile);
    if (leaf.state === 'good') program.expects('good', verdict);
    else program.expects('revoked', verdict, REVOKED);
  }
});
