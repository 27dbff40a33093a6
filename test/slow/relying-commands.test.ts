/** The commands of docs/relying-parties.md for programs that judge a chain in a file: they end well for a good one, and for nothing else. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { INTEROP_TIMEOUT_MS, outsideProgram, versionOf, type Verdict } from '../support/interop.ts';
import { altered, forged, openSite, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { makeCsrByOpenssl } from '../support/openssl.ts';
import { blocksOf, runShell } from '../support/documents.ts';
import { documentedBlock, fetchListsInto, RELYING_PARTIES } from '../support/outside-servers.ts';
import { temporaryFolder } from '../support/postgres.ts';

const taking = (name: string, debianPackage: string, args: string[], pattern: RegExp, program = name) =>
  outsideProgram({ name: `${name} (as documented)`, debianPackage, must: true, version: () => versionOf(program, args, pattern) });
const PROGRAMS = [
  { title: 'openssl', program: await taking('openssl', 'openssl', ['version'], /^OpenSSL (\S+)/) },
  { title: 'gnutls', program: await taking('gnutls', 'gnutls-bin', ['--version'], /^certtool (\S+)/, 'certtool') },
  { title: 'nss', program: await taking('nss', 'libnss3-tools', [], /(Usage)/i, 'vfychain') },
] as const;

let site: Site;
beforeAll(async () => {
  site = await openSite({ authorityKey: 'ecdsa-p256', makeCsr: makeCsrByOpenssl });
}, INTEROP_TIMEOUT_MS);
afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

/** Runs the block in a folder of its own, as a reader has it: trust-bundle.pem, chain.pem, lists.pem. */
async function judge(title: string, chain: string): Promise<Verdict> {
  const cwd = temporaryFolder('signet-commands-');
  fs.writeFileSync(path.join(cwd, 'trust-bundle.pem'), site.read(`${site.rootId}.pem`));
  fs.writeFileSync(path.join(cwd, 'chain.pem'), chain);
  await fetchListsInto(site, path.join(cwd, 'lists.pem'));
  const block = blocksOf(RELYING_PARTIES).filter(({ text }) => text === documentedBlock(title));
  const { status, stdout, stderr } = runShell(block, { cwd, env: { PATH: process.env.PATH ?? '', HOME: cwd, LC_ALL: 'C.UTF-8', STATUS: site.service.signet.urls.status } });
  const verdict = path.join(cwd, 'verdict');
  const said = stdout + stderr + (fs.existsSync(verdict) ? fs.readFileSync(verdict, 'utf8') : '');
  fs.rmSync(cwd, { recursive: true });
  return { accepted: status === 0, said };
}

describe.each(PROGRAMS)('$title', ({ title, program }) => {
  program.test('good, killed, resumed, retired, altered, forged', async () => {
    const agent = await site.enroll({ key: 'ecdsa-p256', profile: 'agent' });
    const chain = site.read(agent.chainFile);
    const because = /revoked/i;
    program.expects('good', await judge(title, chain));
    const resume = await site.kill(agent);
    await site.listed(agent, true);
    program.expects('revoked', await judge(title, chain), because);
    await resume();
    await site.listed(agent, false);
    program.expects('good', await judge(title, chain));
    for (const bad of [altered, forged]) program.expects('known-bad', await judge(title, site.read(bad(site, agent)) + site.read(`${site.issuerId}.pem`)), /signature|unable to get local issuer|NOT trusted|ERROR -/);
    await site.kill(agent satisfies SiteLeaf, 'retire');
    await site.listed(agent, true);
    program.expects('revoked', await judge(title, chain), because);
  });
});
