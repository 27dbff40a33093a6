/** Java's PKIX with its own revocation checker: OCSP of the end entity, and lists by their distribution points. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { INTEROP_TIMEOUT_MS, outsideProgram, run, versionOf, type Verdict } from '../support/interop.ts';
import { ALL_KINDS, altered, forged, impostorRoot, openSite, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { makeCsrByOpenssl } from '../support/openssl.ts';
import { documentedBlock } from '../support/outside-servers.ts';

const program = await outsideProgram({ name: 'java (PKIX)', debianPackage: 'default-jdk-headless', must: true, version: () => versionOf('javac', ['-version'], /^javac (\S+)/) });
const SOURCE = path.resolve(import.meta.dirname, '../interop/java/Verify.java');
const WAYS = ['ocsp', 'crl'] as const;
type Way = (typeof WAYS)[number];
const REVOKED = /REVOKED: Certificate has been revoked, reason: (KEY_COMPROMISE|CERTIFICATE_HOLD|CESSATION_OF_OPERATION)/;
/** Everything it asks goes to a proxy that is not there. */
const NOBODY_ANSWERS = ['-Dhttp.proxyHost=127.0.0.1', '-Dhttp.proxyPort=9', '-Dhttp.nonProxyHosts='];
const UNKNOWN = /UNDETERMINED_REVOCATION_STATUS|UNSPECIFIED/;

let site: Site;
let leaves: SiteLeaf[];
beforeAll(async () => {
  if (!program.isHere) return;
  site = await openSite({ authorityKey: 'ecdsa-p256', shards: 2, makeCsr: makeCsrByOpenssl });
  leaves = await site.populate(ALL_KINDS);
  const built = await run('javac', ['-d', site.folder, SOURCE]);
  if (built.code !== 0) throw new Error(built.stderr);
}, INTEROP_TIMEOUT_MS);
afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

/** One process for all chains: most of the time is Java's start. */
async function judged(way: Way, chainFiles: readonly string[], { root = `${site.rootId}.pem`, settings = [] as string[] } = {}): Promise<Verdict[]> {
  const { code, stdout, stderr } = await run('java', [...settings, '-cp', site.folder, 'Verify', way, root, ...chainFiles], { cwd: site.folder });
  if (code !== 0) throw new Error(stderr);
  const lines = stdout.trimEnd().split('\n');
  return chainFiles.map((file) => lines.find((line) => line.startsWith(`${file}: `)) ?? '').map((said) => ({ accepted: said.endsWith(': good'), said }));
}
const one = (state: SiteLeaf['state']): SiteLeaf => leaves.find((leaf) => leaf.state === state && leaf.profile === 'agent') as SiteLeaf;

program.test('the program does what the document shows', () => {
  const source = fs.readFileSync(SOURCE, 'utf8');
  for (const line of documentedBlock('java: revocation').trimEnd().split('\n').slice(1)) expect(source).toContain(line);
  return Promise.resolve();
});

for (const way of WAYS) {
  program.test(`${way}: good, revoked and on hold, of every kind; ephemeral ones carry no pointer, and are refused`, async () => {
    const verdicts = await judged(way, leaves.map(({ chainFile }) => chainFile));
    leaves.forEach((leaf, i) => {
      const verdict = verdicts[i] as Verdict;
      // noRevAvail (RFC 9608) is newer than the JDK: its limit.
      if (leaf.profile === 'ephemeral') program.expects('known-bad', verdict, UNKNOWN);
      else if (leaf.state === 'good') program.expects('good', verdict);
      else program.expects('revoked', verdict, REVOKED);
    });
  });

  program.test(`${way}: killed, resumed, retired`, async () => {
    const agent = await site.enroll({ key: 'ecdsa-p256', profile: 'agent' });
    const verdict = async () => (await judged(way, [agent.chainFile]))[0] as Verdict;
    const listed = async (isListed: boolean) => (way === 'crl' ? site.listed(agent, isListed) : undefined);
    program.expects('good', await verdict());
    const resume = await site.kill(agent);
    await listed(true);
    program.expects('revoked', await verdict(), REVOKED);
    await resume();
    await listed(false);
    program.expects('good', await verdict());
    await site.kill(agent, 'retire');
    await listed(true);
    program.expects('revoked', await verdict(), REVOKED);
  });

  program.test(`${way}: refuses what is altered, forged, of another root, or what it can learn nothing about`, async () => {
    const good = one('good');
    const chains = [altered(site, good), forged(site, good)].map((file) => site.write(`chain-of-${file}`, ...[file, `${site.issuerId}.pem`].map((name) => site.read(name))));
    for (const verdict of await judged(way, chains)) program.expects('known-bad', verdict, /signature|Signature|INVALID_SIGNATURE|algorithm/);
    const [foreign] = await judged(way, [good.chainFile], { root: impostorRoot(site) });
    program.expects('known-bad', foreign as Verdict, /INVALID_SIGNATURE|signature|algorithm/i);
    const [blind] = await judged(way, [good.chainFile], { settings: NOBODY_ANSWERS });
    program.expects('known-bad', blind as Verdict, UNKNOWN);
  });
}
