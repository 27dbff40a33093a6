/** One artefact of every profile before other people's linters: pkilint (certificates, lists, OCSP answers) and zlint (certificates, lists). */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { assembleCrl, encodeTbsCertList } from '../../src/x509/crl.ts';
import { parseOcspRequest } from '../../src/x509/ocsp-request.ts';
import { assembleOcspResponse, encodeOcspResponseData } from '../../src/x509/ocsp-response.ts';
import { decodePem, encodePem } from '../../src/x509/pem.ts';
import { assembleCertificate, encodeTbs } from '../../src/x509/tbs.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, type OutsideProgram } from '../support/interop.ts';
import { openSite, type LeafKind, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { allowList, isAllowed, pkilint, zlint, type Artefact, type ArtefactKind, type Finding } from '../support/linters.ts';
import { askOcsp, makeCsrByOpenssl } from '../support/openssl.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { testKey } from '../support/test-pki.ts';
import { goInstalled, pythonEnvironment, type Built } from '../support/toolchains.ts';

const [pkilintBuilt, zlintBuilt] = [pythonEnvironment('lint', 'pkilint'), goInstalled('github.com/zmap/zlint/v3/cmd/zlint', 'v3.6.8')];
/** A registry that does not answer is no fault of ours: a loud skip. */
const taking = (name: string, needs: string, built: Built | undefined) => outsideProgram({ name, debianPackage: needs, must: false, version: () => Promise.resolve(built?.version) });
const LINTERS: { program: OutsideProgram; kinds: readonly ArtefactKind[]; lint: (folder: string, artefact: Artefact) => Promise<Finding[]> }[] = [
  { program: await taking('pkilint', 'python3-venv', pkilintBuilt), kinds: ['certificate', 'crl', 'ocsp'], lint: (folder, artefact) => pkilint(pkilintBuilt as Built, folder, artefact) },
  { program: await taking('zlint', 'the Go toolchain', zlintBuilt), kinds: ['certificate', 'crl'], lint: (folder, artefact) => zlint(zlintBuilt as Built, folder, artefact) },
];

/** Beside the built-in profiles: the other choices of a subject, the other extended key usage, an instance in the path. */
const PROFILES = { named: { subject: 'agent-name' }, nameless: { subject: 'empty', extendedKeyUsage: ['clientAuth'], instanceInPath: true } };
const KINDS: readonly LeafKind[] = [
  ...(['ecdsa-p256', 'ecdsa-p384', 'ed25519', 'rsa-2048'] as const).map((key) => ({ key, profile: 'agent' as const })),
  ...(['ephemeral', 'service', 'named', 'nameless'] as const).map((profile) => ({ key: 'ecdsa-p256' as const, profile })),
];

let site: Site;
const artefacts: Artefact[] = [];
const spoiled: Artefact[] = [];
const used = new Set<string>();

beforeAll(async () => {
  if (!LINTERS.some(({ program }) => program.isHere)) return;
  const profilesFile = path.join(temporaryFolder('signet-lint-'), 'profiles.json');
  fs.writeFileSync(profilesFile, JSON.stringify(PROFILES));
  site = await openSite({ authorityKey: 'ecdsa-p256', shards: 2, makeCsr: makeCsrByOpenssl, env: { SIGNET_PROFILES_FILE: profilesFile } });
  const leaves = await Promise.all(KINDS.map((kind) => site.enroll(kind)));
  for (const leaf of leaves) artefacts.push({ name: `leaf ${leaf.profile} ${leaf.key}`, kind: 'certificate', file: leaf.file });
  const [good, revoked, held] = [leaves[0] as SiteLeaf, await site.bring(leaves[1] as SiteLeaf, 'revoked'), await site.bring(leaves[2] as SiteLeaf, 'held')];
  await answers(good, revoked, held);
  const lists = { 'complete list': { issuerId: site.issuerId }, 'list of the root': { issuerId: site.rootId }, 'shard list 0': { issuerId: site.issuerId, shard: 0 }, 'shard list 1': { issuerId: site.issuerId, shard: 1 } };
  for (const [name, list] of Object.entries(lists)) artefacts.push({ name, kind: 'crl', file: await site.lists(list) });
  await site.rollOverRoot();
  for (const { kind, id } of await site.authorities()) artefacts.push({ name: `authority ${kind}`, kind: 'certificate', file: `${id}.pem` });
  spoil(good, fs.readFileSync(path.join(site.folder, 'ocsp-good-no_nonce.req')));
}, INTEROP_TIMEOUT_MS);
afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

/** OCSP answers of every status, with a nonce and without. */
async function answers(good: SiteLeaf, revoked: SiteLeaf, held: SiteLeaf): Promise<void> {
  const neverIssued = { ...good, file: site.write('never-issued.pem', reserialed(good)) };
  for (const [status, leaf] of Object.entries({ good, revoked, held, unknown: neverIssued })) {
    for (const nonce of ['-nonce', '-no_nonce']) {
      const file = `ocsp-${status}${nonce}.der`;
      await askOcsp(site, { root: `${site.rootId}.pem`, issuer: `${site.issuerId}.pem`, leaf: leaf.file, more: [nonce, '-respout', file, '-reqout', file.replace(/der$/, 'req')] });
      artefacts.push({ name: `OCSP ${status}${nonce === '-nonce' ? ' with a nonce' : ''}`, kind: 'ocsp', file });
    }
  }
}

const FAULTY = testKey('signs what is faulty');
const certificateIn = (file: string) => parseCertificate(decodePem(site.read(file), 'CERTIFICATE'));

/** A certificate with a serial of nobody's: what OCSP is asked about, not what is linted. */
function reserialed({ file }: SiteLeaf): string {
  const real = certificateIn(file);
  const serial = Buffer.from(real.serial).fill(0x5a, 8);
  return encodePem('CERTIFICATE', assembleCertificate(encodeTbs({ ...real, serial, signatureAlgorithm: FAULTY.algorithm }), FAULTY.algorithm, FAULTY.sign(Buffer.alloc(1))));
}

/** Controls, one a kind, with a fault that a linter of that kind must find. */
function spoil({ file }: SiteLeaf, question: Buffer): void {
  const real = { ...certificateIn(file), signatureAlgorithm: FAULTY.algorithm };
  // No authority key identifier (RFC 5280 §4.2.1.1), and it ends before it begins.
  const tbs = encodeTbs({ ...real, extensions: real.extensions.slice(1), notBefore: real.notAfter, notAfter: real.notBefore });
  spoiled.push({ name: 'faulty certificate', kind: 'certificate', file: site.write('faulty.pem', encodePem('CERTIFICATE', assembleCertificate(tbs, FAULTY.algorithm, FAULTY.sign(tbs)))) });
  // Neither a CRL number nor an authority key identifier (RFC 5280 §5.2.1, §5.2.3).
  const list = encodeTbsCertList({ signatureAlgorithm: FAULTY.algorithm, issuerName: real.issuerName, thisUpdate: real.notBefore, nextUpdate: real.notAfter, extensions: [], entries: [] });
  spoiled.push({ name: 'faulty list', kind: 'crl', file: site.write('faulty.crl.pem', encodePem('X509 CRL', assembleCrl(list, FAULTY.algorithm, FAULTY.sign(list)))) });
  // It ends before it begins (RFC 6960 §4.2.2.1).
  const responses = parseOcspRequest(question).certIds.map(({ raw: certId }) => ({ certId, certStatus: { status: 'good' as const }, thisUpdate: real.notAfter, nextUpdate: real.notBefore }));
  const data = encodeOcspResponseData({ responderKeyHash: Buffer.alloc(20), producedAt: real.notBefore, responses, nonce: undefined });
  fs.writeFileSync(path.join(site.folder, 'faulty-ocsp.der'), assembleOcspResponse(data, FAULTY.algorithm, FAULTY.sign(data), []));
  spoiled.push({ name: 'faulty OCSP answer', kind: 'ocsp', file: 'faulty-ocsp.der' });
}

for (const { program, kinds, lint } of LINTERS) {
  program.test('nothing but what is allowed, with a reason, in what is issued', async () => {
    const allowed = allowList();
    const faults: string[] = [];
    const shown = artefacts.filter(({ kind }) => kinds.includes(kind));
    for (const artefact of shown) {
      for (const finding of await lint(site.folder, artefact)) {
        const excuse = allowed.find((one) => isAllowed(finding, one));
        if (excuse) used.add(excuse.line);
        else faults.push(`${finding.linter} | ${finding.code} | ${finding.artefact} | ${finding.said}`);
      }
    }
    expect(faults).toEqual([]);
    for (const { name } of shown) program.expects('good', { accepted: true, said: name });
  });

  program.test('a faulty one of each kind is found', async () => {
    for (const artefact of spoiled.filter(({ kind }) => kinds.includes(kind))) {
      const found = await lint(site.folder, artefact);
      program.expects('known-bad', { accepted: found.length === 0, said: found.map(({ code }) => code).join(' ') }, /\S/);
    }
  });
}

const everyLinter = LINTERS.every(({ program }) => program.isHere);
(everyLinter ? test : test.skip)('no line of the allow-list that nothing needs', () => {
  expect(allowList().map(({ line }) => line).filter((line) => !used.has(line))).toEqual([]);
});

test('every kind of certificate, list and answer is among them', () => {
  if (!LINTERS.some(({ program }) => program.isHere)) return;
  const names = artefacts.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['root', 'cross', 'issuing', 'ocsp', 'tls', 'feed'].map((kind) => `authority ${kind}`)));
  expect(names.filter((name) => name.startsWith('leaf '))).toHaveLength(KINDS.length);
});
