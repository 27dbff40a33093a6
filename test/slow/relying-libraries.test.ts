/** The libraries that services in Go, Python and Rust judge certificates with: small programs of test/interop, against a running Signet. */
import path from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { INTEROP_TIMEOUT_MS, outsideProgram, run, type OutsideProgram, type Verdict } from '../support/interop.ts';
import { altered, forged, impostorRoot, openSite, type LeafKind, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { makeCsrByOpenssl } from '../support/openssl.ts';
import { goProgram, hasCargo, hasGo, hasPython, pythonEnvironment, rustProgram, type Built } from '../support/toolchains.ts';

const SCRIPT = path.resolve(import.meta.dirname, '../interop/python/relying_party.py');
const [go, python, rust] = [goProgram(), pythonEnvironment('python', 'cryptography'), rustProgram()];
const taking = (name: string, debianPackage: string, must: boolean, built: Built | undefined): Promise<OutsideProgram> =>
  outsideProgram({ name, debianPackage, must, version: () => Promise.resolve(built?.version) });

const LIBRARIES = [
  { name: 'go (crypto/x509, x/crypto/ocsp)', ways: ['ocsp', 'crl'], built: go, args: [], program: await taking('go (crypto/x509, x/crypto/ocsp)', 'the Go toolchain', hasGo(), go) },
  { name: 'python (cryptography)', ways: ['ocsp', 'crl'], built: python, args: [SCRIPT], program: await taking('python (cryptography)', 'python3-venv', hasPython(), python) },
  { name: 'rust (rustls-webpki)', ways: ['lists'], built: rust, args: [], program: await taking('rust (rustls-webpki)', 'the Rust toolchain', hasCargo(), rust) },
] as const;

const KINDS: readonly LeafKind[] = [
  { key: 'ecdsa-p256', profile: 'agent' }, { key: 'ecdsa-p384', profile: 'agent' }, { key: 'ed25519', profile: 'agent' }, { key: 'rsa-2048', profile: 'agent' }, { key: 'ecdsa-p256', profile: 'service' },
  { key: 'ecdsa-p256', profile: 'ephemeral' },
];
const REVOKED = /revoked: |CertRevoked/;
const UNKNOWN = /unknown: |UnknownRevocationStatus|CrlExpired|path: .*(candidates exhausted|unsupported|critical)/;
const BAD = /path: |signed by unknown authority|verification failure|InvalidSignature|UnknownIssuer|BadDer|UnsupportedSignature/;

let site: Site;
let leaves: SiteLeaf[];
beforeAll(async () => {
  if (!LIBRARIES.some(({ program }) => program.isHere)) return;
  site = await openSite({ authorityKey: 'ecdsa-p256', makeCsr: makeCsrByOpenssl });
  leaves = await site.populate(KINDS);
}, INTEROP_TIMEOUT_MS);
afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

describe.each(LIBRARIES)('$name', ({ built, args, program, ways }) => {
  describe.each(ways)('%s', (way) => {
    async function judged(chainFiles: readonly string[], { root = `${site.rootId}.pem`, lists = '' } = {}): Promise<Verdict[]> {
      const how = way === 'lists' ? [root, lists || (await site.completeLists())] : [way, root];
      const { code, stdout, stderr } = await run(built?.command ?? '', [...args, ...how, ...chainFiles], { cwd: site.folder });
      if (code !== 0) throw new Error(stderr);
      const lines = stdout.split('\n');
      return chainFiles.map((file) => lines.find((line) => line.startsWith(`${file}: `)) ?? '').map((said) => ({ accepted: said.endsWith(': good'), said }));
    }

    program.test('good, revoked and on hold, of every kind; ephemeral ones carry no pointer', async () => {
      const verdicts = await judged(leaves.map(({ chainFile }) => chainFile));
      leaves.forEach((leaf, i) => {
        const verdict = verdicts[i] as Verdict;
        // Who is given the lists needs no pointer.
        if (leaf.profile === 'ephemeral' && way !== 'lists') program.expects('known-bad', verdict, UNKNOWN);
        else if (leaf.state === 'good') program.expects('good', verdict);
        else program.expects('revoked', verdict, REVOKED);
      });
    });

    program.test('killed, resumed, retired', async () => {
      const agent = await site.enroll({ key: 'ecdsa-p256', profile: 'agent' });
      const verdict = async () => (await judged([agent.chainFile]))[0] as Verdict;
      const listed = async (isListed: boolean) => (way === 'ocsp' ? undefined : site.listed(agent, isListed));
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

    program.test('refuses what is altered, forged, of another root, or without the list of its issuer', async () => {
      const good = leaves.find(({ state }) => state === 'good') as SiteLeaf;
      const chains = [altered(site, good), forged(site, good)].map((file) => site.write(`chain-of-${file}`, site.read(file), site.read(`${site.issuerId}.pem`)));
      for (const verdict of await judged(chains)) program.expects('known-bad', verdict, BAD);
      const [foreign] = await judged([good.chainFile], { root: impostorRoot(site) });
      program.expects('known-bad', foreign as Verdict, BAD);
      if (way !== 'lists') return;
      const [blind] = await judged([good.chainFile], { lists: await site.lists({ issuerId: site.rootId }) });
      program.expects('known-bad', blind as Verdict, UNKNOWN);
    });
  });
});
