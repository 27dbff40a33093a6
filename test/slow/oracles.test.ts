/** Libraries that share no code with ours, in this process: pkijs and @peculiar/x509 on what the built program hands out, and its CSRs by the latter. */
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import * as pkijs from 'pkijs';
import { decodePem, decodePemAll } from '../../src/x509/pem.ts';
import { ok } from '../support/fault/fleet.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, type Verdict } from '../support/interop.ts';
import { ALL_KINDS, altered, AUTHORITY_KEYS, flipBit, forged, openSite, type CsrMaker, type LeafKind, type Site, type SiteLeaf, type SubjectKey } from '../support/interop-site.ts';

const packageVersion = (name: string): string =>
  (JSON.parse(fs.readFileSync(path.resolve(import.meta.dirname, '../../node_modules', name, 'package.json'), 'utf8')) as { version: string }).version;
const library = (name: string) => outsideProgram({ name, debianPackage: `${name} (npm)`, must: true, version: () => Promise.resolve(packageVersion(name)) });
const [peculiar, pki] = [await library('@peculiar/x509'), await library('pkijs')];

const { crypto } = globalThis;
const NEW_KEY: Record<SubjectKey, webcrypto.RsaHashedKeyGenParams | (webcrypto.EcKeyGenParams & { hash: string }) | { name: 'Ed25519' }> = {
  'ecdsa-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ecdsa-p384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  ed25519: { name: 'Ed25519' },
  'rsa-2048': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
};

const makeCsr: CsrMaker = async (folder, name, key, commonName) => {
  const algorithm = NEW_KEY[key];
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name: `CN=${commonName}`, keys, signingAlgorithm: algorithm as webcrypto.EcdsaParams, extensions: [], attributes: [] }, crypto);
  fs.writeFileSync(path.join(folder, `${name}.csr`), `${request.toString('pem')}\n`);
  fs.writeFileSync(path.join(folder, `${name}.key`), x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'));
};

/** What is shown to a library, DER. */
interface Shown {
  leaf: Buffer;
  issuer: Buffer;
  root: Buffer;
  /** Lists of the issuer and of the root. */
  lists: [Buffer, Buffer];
}

const bytes = (der: Buffer): Uint8Array<ArrayBuffer> => Uint8Array.from(der);

/** @peculiar/x509: a chain to the root, every signature of it and of the lists, and the serials on the lists. */
async function judgeByPeculiar({ leaf, issuer, root, lists }: Shown): Promise<Verdict> {
  const [end, ca, anchor] = [leaf, issuer, root].map((der) => new x509.X509Certificate(bytes(der))) as [x509.X509Certificate, x509.X509Certificate, x509.X509Certificate];
  const chain = await new x509.X509ChainBuilder({ certificates: [ca, anchor] }).build(end, crypto);
  const faults = chain.length === 3 ? [] : [`a chain of ${chain.length}`];
  for (const [certificate, signer] of [[end, ca], [ca, anchor], [anchor, anchor]] as const) {
    if (!(await certificate.verify({ publicKey: signer, date: new Date() }, crypto))) faults.push(`${certificate.subject} is not signed by its issuer`);
  }
  for (const [der, signer, judged] of [[lists[0], ca, end], [lists[1], anchor, ca]] as const) {
    const list = new x509.X509Crl(bytes(der));
    if (!(await list.verify({ publicKey: signer }, crypto))) faults.push('a list is not signed by its issuer');
    if (list.issuer !== signer.subject) faults.push('a list of somebody else');
    const entry = list.findRevoked(judged.serialNumber);
    if (entry) faults.push(`revoked: ${x509.X509CrlReason[entry.reason ?? 0]}`);
  }
  return { accepted: faults.length === 0, said: faults.join('; ') };
}

/** pkijs: RFC 5280 §6 with lists. */
async function judgeByPkijs({ leaf, issuer, root, lists }: Shown): Promise<Verdict> {
  const [end, ca, anchor] = [leaf, issuer, root].map((der) => pkijs.Certificate.fromBER(bytes(der))) as [pkijs.Certificate, pkijs.Certificate, pkijs.Certificate];
  const crls = lists.map((der) => pkijs.CertificateRevocationList.fromBER(bytes(der)));
  const { result, resultMessage } = await new pkijs.CertificateChainValidationEngine({ trustedCerts: [anchor], certs: [ca, end], crls, checkDate: new Date() }).verify();
  return { accepted: result, said: resultMessage };
}

const STATUS = ['good', 'revoked', 'unknown'] as const;

/** pkijs asks, verifies the answer down to the root, and reads the status. */
async function askByPkijs(site: Site, { leaf, issuer, root }: Shown, hashAlgorithm: string, spoil: (answer: Buffer) => Buffer = (answer) => answer): Promise<Verdict> {
  const [end, ca, anchor] = [leaf, issuer, root].map((der) => pkijs.Certificate.fromBER(bytes(der))) as [pkijs.Certificate, pkijs.Certificate, pkijs.Certificate];
  const request = new pkijs.OCSPRequest();
  await request.createForCertificate(end, { hashAlgorithm, issuerCertificate: ca });
  const asked = Buffer.from(request.toSchema(true).toBER());
  const { body } = ok(await site.service.status.send('POST', '/ocsp', { bytes: asked, headers: { 'content-type': 'application/ocsp-request' } }));
  const answer = pkijs.OCSPResponse.fromBER(bytes(spoil(body)));
  const basic = pkijs.BasicOCSPResponse.fromBER(answer.responseBytes?.response.valueBlock.valueHexView ?? new Uint8Array());
  const verified = await basic.verify({ trustedCerts: [anchor], issuerCerts: [ca] }).catch((error: unknown) => String(error));
  const { isForCertificate, status } = await basic.getCertificateStatus(end, ca);
  return { accepted: verified === true && isForCertificate && status === 0, said: `verified: ${verified}, status: ${STATUS[status]}` };
}

const ONE_KIND: readonly LeafKind[] = [{ key: 'ed25519', profile: 'agent' }];

describe.each(AUTHORITY_KEYS)('oracles with authority keys %s', (authorityKey) => {
  let site: Site;
  let leaves: SiteLeaf[];
  let ca: Omit<Shown, 'leaf'>;
  const read = (file: string): Buffer => decodePem(fs.readFileSync(path.join(site.folder, file), 'utf8'), 'CERTIFICATE');
  const one = (state: SiteLeaf['state']): SiteLeaf => leaves.find((leaf) => leaf.state === state) as SiteLeaf;
  beforeAll(async () => {
    site = await openSite({ authorityKey, makeCsr });
    leaves = await site.populate(authorityKey === 'ecdsa-p256' ? ALL_KINDS : ONE_KIND);
    ca = { issuer: read(`${site.issuerId}.pem`), root: read(`${site.rootId}.pem`), lists: [await site.list(site.issuerId), await site.list(site.rootId)] };
  }, INTEROP_TIMEOUT_MS);
  afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

  peculiar.test('@peculiar/x509 judges every kind of certificate by the complete lists', async () => {
    for (const leaf of leaves) {
      const verdict = await judgeByPeculiar({ ...ca, leaf: read(leaf.file) });
      if (leaf.state === 'good') peculiar.expects('good', verdict);
      else peculiar.expects('revoked', verdict, leaf.state === 'held' ? /^revoked: certificateHold$/ : /^revoked: keyCompromise$/);
    }
    peculiar.expects('known-bad', await judgeByPeculiar({ ...ca, leaf: read(altered(site, one('revoked'))) }), /is not signed by its issuer/);
    peculiar.expects('known-bad', await judgeByPeculiar({ ...ca, leaf: read(forged(site, one('good'))) }), /is not signed by its issuer/);
    const spoiled = flipBit(ca.lists[0], Buffer.from(one('revoked').serial, 'hex'));
    peculiar.expects('known-bad', await judgeByPeculiar({ ...ca, lists: [spoiled, ca.lists[1]], leaf: read(one('revoked').file) }), /^a list is not signed by its issuer$/);
  });

  pki.test('pkijs reads every certificate, list and answer, and writes them back octet by octet', async () => {
    const written = (schema: unknown) => Buffer.from((schema as { toBER(): ArrayBuffer }).toBER());
    for (const leaf of leaves) {
      for (const der of decodePemAll(leaf.identity.chain, 'CERTIFICATE')) expect(written(pkijs.Certificate.fromBER(bytes(der)).toSchema(false))).toEqual(der);
    }
    for (const der of ca.lists) expect(written(pkijs.CertificateRevocationList.fromBER(bytes(der)).toSchema(false))).toEqual(der);
    const request = new pkijs.OCSPRequest();
    await request.createForCertificate(pkijs.Certificate.fromBER(bytes(read(one('revoked').file))), { hashAlgorithm: 'SHA-1', issuerCertificate: pkijs.Certificate.fromBER(bytes(ca.issuer)) });
    const { body } = await site.service.status.send('POST', '/ocsp', { bytes: Buffer.from(request.toSchema(true).toBER()), headers: { 'content-type': 'application/ocsp-request' } });
    expect(written(pkijs.OCSPResponse.fromBER(bytes(body)).toSchema())).toEqual(body);
  });

  // It knows no Ed25519.
  if (authorityKey === 'ed25519') return;

  pki.test('pkijs judges every kind of certificate by the complete lists, and asks by OCSP with either CertID', async () => {
    for (const [i, leaf] of leaves.entries()) {
      const shown = { ...ca, leaf: read(leaf.file) };
      const byList = await judgeByPkijs(shown);
      // Three states of each kind: by turns every state is asked for in both ways.
      const byOcsp = await askByPkijs(site, shown, i % 2 === 0 ? 'SHA-1' : 'SHA-256');
      if (leaf.state === 'good') for (const verdict of [byList, byOcsp]) pki.expects('good', verdict);
      else {
        pki.expects('revoked', byList, /revoked/i);
        pki.expects('revoked', byOcsp, /^verified: true, status: revoked$/);
      }
    }
    const revoked = one('revoked');
    pki.expects('known-bad', await judgeByPkijs({ ...ca, leaf: read(altered(site, revoked)) }), /No valid certificate paths/);
    pki.expects('known-bad', await judgeByPkijs({ ...ca, leaf: read(forged(site, one('good'))) }), /No valid certificate paths/);
    pki.expects('known-bad', await askByPkijs(site, { ...ca, leaf: read(altered(site, revoked)) }, 'SHA-1'), /^verified: true, status: unknown$/);
    const spoil = (answer: Buffer) => flipBit(answer, Buffer.from(one('good').serial, 'hex'));
    pki.expects('known-bad', await askByPkijs(site, { ...ca, leaf: read(one('good').file) }, 'SHA-1', spoil), /^verified: false/);
  });
});
