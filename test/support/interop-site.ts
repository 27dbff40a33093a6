/** A running Signet with certificates of every kind and state in it, and the files that other people's programs are shown. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuthorityAnswer } from '../../src/api/authorities.ts';
import type { CertificateAnswer } from '../../src/api/certificates.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { parseCrl } from '../../src/x509/crl.ts';
import { decodePem, decodePemAll, encodePem } from '../../src/x509/pem.ts';
import { assembleCertificate, encodeTbs } from '../../src/x509/tbs.ts';
import { identityOf, ok } from './fault/fleet.ts';
import { jsonOf } from './https-client.ts';
import { temporaryFolder } from './postgres.ts';
import { startService, type Identity, type Service } from './service.ts';
import { testKey } from './test-pki.ts';

export type LeafState = 'good' | 'revoked' | 'held';
export const LEAF_STATES: readonly LeafState[] = ['good', 'revoked', 'held'];

export const SUBJECT_KEYS = ['ecdsa-p256', 'ecdsa-p384', 'ed25519', 'rsa-2048'] as const;
export type SubjectKey = (typeof SUBJECT_KEYS)[number];
export const AUTHORITY_KEYS = ['ecdsa-p256', 'ecdsa-p384', 'ed25519'] as const;
export const PROFILES = ['agent', 'ephemeral', 'service'] as const;

/** What a certificate is made with. */
export interface LeafKind {
  key: SubjectKey;
  /** One of PROFILES, or of the profiles file that the site was opened with. */
  profile: string;
}

/** Every kind of subject key, and every built-in profile. */
export const ALL_KINDS: readonly LeafKind[] = [
  ...SUBJECT_KEYS.map((key) => ({ key, profile: 'agent' as const })),
  { key: 'ecdsa-p256', profile: 'ephemeral' },
  { key: 'ecdsa-p256', profile: 'service' },
];

/** One certificate and its files in the site's folder. */
export interface SiteLeaf extends LeafKind {
  state: LeafState;
  serial: string;
  issuerId: string;
  /** The number of its CRL shard; undefined when it names the complete list, or none. */
  shard: number | undefined;
  /** File of the leaf alone, PEM. */
  file: string;
  /** File of the leaf with what stands between it and the root, PEM. */
  chainFile: string;
  keyFile: string;
  identity: Identity;
}

/** Makes a key and a CSR with the program under test, for this common name: files `<name>.key` and `<name>.csr`, PEM, in `folder`. */
export type CsrMaker = (folder: string, name: string, key: SubjectKey, commonName: string) => Promise<void>;

export interface Site {
  service: Service;
  /** Where all files are; programs run in it. */
  folder: string;
  /** The root and the issuer it started with; their files are `<id>.pem`. */
  rootId: string;
  issuerId: string;
  /** Certificates of the CA that are in use now; their files are `<id>.pem`. */
  authorities(): Promise<AuthorityAnswer[]>;
  /** Enrolls a new agent. */
  enroll(kind: LeafKind): Promise<SiteLeaf>;
  /** One certificate of each kind in each state, all of them on the lists. */
  populate(kinds: readonly LeafKind[]): Promise<SiteLeaf[]>;
  /** Brings a certificate to another state and waits until the complete list of its issuer says so. */
  bring(leaf: SiteLeaf, state: LeafState): Promise<SiteLeaf>;
  /** Kills the agent of a certificate, and resolves with the acknowledgement: a function that takes the kill back. */
  kill(leaf: SiteLeaf, effect?: 'suspend' | 'revoke' | 'retire'): Promise<() => Promise<void>>;
  /** Resolves when the complete list of its issuer, and its shard, have the certificate, or have it no longer. */
  listed(leaf: SiteLeaf, isListed: boolean): Promise<void>;
  /** Renews a certificate over mutual TLS, with a fresh key of the same kind. */
  renew(leaf: SiteLeaf): Promise<SiteLeaf>;
  /** A list as it is published now, DER. */
  list(issuerId: string, shard?: number): Promise<Buffer>;
  /** Writes lists as they are now into one file, PEM, and returns its name. */
  lists(...names: { issuerId: string; shard?: number }[]): Promise<string>;
  /** Complete lists of every issuer and root. */
  completeLists(): Promise<string>;
  /** The next issuer under the same root, in use; `prepared` is called before it is. Returns its id. */
  rotateIssuer(prepared?: () => Promise<void>): Promise<string>;
  /** A new root, cross-signed by the older one, with its first issuer, both in use. */
  rollOverRoot(): Promise<{ rootId: string; crossId: string; issuerId: string }>;
  write(name: string, ...pem: string[]): string;
  /** Text of one of its files. */
  read(name: string): string;
  close(): Promise<void>;
}

export interface SiteOptions {
  authorityKey: (typeof AUTHORITY_KEYS)[number];
  shards?: number;
  makeCsr: CsrMaker;
  /** More environment of the service. */
  env?: Record<string, string>;
}

/** Longer than a complete list may lag behind a shard (DESIGN §6: 5 s), on a busy machine. */
const LISTED_MS = 30_000;

let sequence = 0;

export async function openSite({ authorityKey, shards = 1, makeCsr, env = {} }: SiteOptions): Promise<Site> {
  const service = await startService({ env: { SIGNET_AUTHORITY_KEY_ALGORITHM: authorityKey, SIGNET_CRL_SHARDS: String(shards), ...env } });
  const folder = temporaryFolder('signet-interop-');
  const write: Site['write'] = (name, ...pem) => {
    fs.writeFileSync(path.join(folder, name), pem.join(''));
    return name;
  };

  const site: Site = {
    service,
    folder,
    rootId: '',
    issuerId: '',
    write,
    read: (name) => fs.readFileSync(path.join(folder, name), 'utf8'),
    async authorities() {
      const { items } = jsonOf<{ items: AuthorityAnswer[] }>(ok(await service.admin.send('GET', '/v1/authorities')));
      for (const { id, certificate } of items) write(`${id}.pem`, certificate);
      return items.filter(({ state }) => state !== 'retired');
    },
    async enroll(kind) {
      const name = `${kind.profile}-${++sequence}`;
      await makeCsr(folder, name, kind.key, name);
      const agentId = await service.register({ name, profile: kind.profile, ...(kind.profile === 'service' ? { dnsNames: [`${name}.example.test`] } : {}) });
      const csr = fs.readFileSync(path.join(folder, `${name}.csr`), 'utf8');
      const answer = await service.enroll(await service.joinToken(agentId), csr);
      return describeLeaf(site, name, kind, identityOf(answer, { key: fs.readFileSync(path.join(folder, `${name}.key`), 'utf8') }));
    },
    async populate(kinds) {
      const wanted = kinds.flatMap((kind) => LEAF_STATES.map((state) => ({ kind, state })));
      return Promise.all(wanted.map(async ({ kind, state }) => site.bring(await site.enroll(kind), state)));
    },
    async bring(leaf, state) {
      const [verb, body] = state === 'revoked' ? ['revoke', { reason: 'keyCompromise' }] : state === 'held' ? ['hold', {}] : ['release', {}];
      if (leaf.state === state) return leaf;
      await service.order(`/v1/certificates/${leaf.serial}/${verb}`, body);
      await site.listed(leaf, state !== 'good');
      return { ...leaf, state };
    },
    async kill({ identity }, effect = 'suspend') {
      const { id } = jsonOf<{ id: string }>(await service.order('/v1/kill', { selector: { agentId: identity.agentId }, effect, reason: 'keyCompromise' }));
      return async () => void (await service.order(`/v1/kills/${id}/resume`));
    },
    async listed({ issuerId, shard, serial }, isListed) {
      for (const list of shard === undefined ? [undefined] : [undefined, shard]) await untilListed(() => site.list(issuerId, list), serial, isListed);
    },
    async renew(leaf) {
      const name = `renewed-${++sequence}`;
      await makeCsr(folder, name, leaf.key, leaf.identity.agentId);
      const answer = await service.renew(leaf.identity, fs.readFileSync(path.join(folder, `${name}.csr`), 'utf8'));
      return describeLeaf(site, name, leaf, identityOf(answer, { key: fs.readFileSync(path.join(folder, `${name}.key`), 'utf8') }));
    },
    list: async (issuerId, shard) => ok(await service.status.send('GET', `/crl/${issuerId}/${shard ?? 'complete'}.crl`)).body,
    async lists(...names) {
      const ders = await Promise.all(names.map(({ issuerId, shard }) => site.list(issuerId, shard)));
      return write(`lists-${++sequence}.pem`, ...ders.map((der) => encodePem('X509 CRL', der)));
    },
    async completeLists() {
      const issuers = (await site.authorities()).filter(({ kind }) => kind === 'root' || kind === 'issuing');
      return site.lists(...issuers.map(({ id }) => ({ issuerId: id })));
    },
    async rotateIssuer(prepared = () => Promise.resolve()) {
      await service.order('/v1/authorities/rotate', { step: 'prepare' });
      await prepared();
      await activate(service);
      return (await site.authorities()).find(({ kind, state }) => kind === 'issuing' && state === 'active')?.id ?? '';
    },
    async rollOverRoot() {
      await service.order('/v1/authorities/rollover-root');
      await activate(service);
      const items = await site.authorities();
      const idOf = (wanted: AuthorityAnswer['kind']) => items.find(({ kind, state }) => kind === wanted && state === 'active')?.id ?? '';
      return { rootId: idOf('root'), crossId: idOf('cross'), issuerId: idOf('issuing') };
    },
    async close() {
      await service.close();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
  const items = await site.authorities();
  const idOf = (kind: AuthorityAnswer['kind']) => items.find((item) => item.kind === kind)?.id ?? '';
  return Object.assign(site, { rootId: idOf('root'), issuerId: idOf('issuing') });
}

/** Brings the prepared issuer into use, as soon as its lists are published. */
async function activate(service: Service): Promise<void> {
  for (const deadline = performance.now() + LISTED_MS; ; await sleep(100)) {
    const { status, body } = await service.admin.send('POST', '/v1/authorities/rotate', { json: { step: 'activate' } });
    if (status === 200) return;
    if (performance.now() > deadline) throw new Error(`the issuer could not be activated: ${status} ${body.toString('utf8')}`);
  }
}

async function describeLeaf(site: Site, name: string, { key, profile }: LeafKind, identity: Identity): Promise<SiteLeaf> {
  const { serial, chain } = identity;
  const { issuerId } = jsonOf<CertificateAnswer>(ok(await site.service.admin.send('GET', `/v1/certificates/${serial}`)));
  const [leafDer = Buffer.alloc(0)] = decodePemAll(chain, 'CERTIFICATE');
  const shard = /\/(\d+)\.crl$/.exec(parseCertificate(leafDer).crlDistributionPoints?.[0] ?? '')?.[1];
  return {
    key,
    profile,
    state: 'good',
    serial,
    issuerId,
    shard: shard === undefined ? undefined : Number(shard),
    file: site.write(`${name}.pem`, encodePem('CERTIFICATE', leafDer)),
    chainFile: site.write(`${name}.chain.pem`, chain),
    keyFile: `${name}.key`,
    identity,
  };
}

async function untilListed(read: () => Promise<Buffer>, serial: string, listed: boolean): Promise<void> {
  for (const deadline = performance.now() + LISTED_MS; performance.now() < deadline; await sleep(100)) {
    const serials = [...parseCrl(await read()).entries()].map((entry) => entry.serial.toString('hex'));
    if (serials.includes(serial)) {
      if (listed) return;
    } else if (!listed) return;
  }
  throw new Error(`${serial} was not ${listed ? 'put on' : 'taken off'} the list within ${LISTED_MS / 1000} s`);
}

/** The certificate in `file` with one bit of its serial number changed: not what was signed. Returns the name of a new file. */
export function altered(site: Site, { file, serial }: Pick<SiteLeaf, 'file' | 'serial'>): string {
  const der = Buffer.from(decodePem(fs.readFileSync(path.join(site.folder, file), 'utf8'), 'CERTIFICATE'));
  return site.write(`altered-${file}`, encodePem('CERTIFICATE', flipBit(der, Buffer.from(serial, 'hex'))));
}

/** `der` with the last bit of the first occurrence of `within` changed. */
export function flipBit(der: Buffer, within: Buffer): Buffer {
  const at = der.indexOf(within) + within.length - 1;
  const changed = Buffer.from(der);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

const STRANGER = testKey('A stranger');

/** All that the certificate in `file` says, signed by a stranger. Returns the name of a new file. */
export function forged(site: Site, { file }: Pick<SiteLeaf, 'file'>): string {
  const real = parseCertificate(decodePem(fs.readFileSync(path.join(site.folder, file), 'utf8'), 'CERTIFICATE'));
  const tbs = encodeTbs({ ...real, signatureAlgorithm: STRANGER.algorithm });
  return site.write(`forged-${file}`, encodePem('CERTIFICATE', assembleCertificate(tbs, STRANGER.algorithm, STRANGER.sign(tbs))));
}

/** A root with the name of the site's and the stranger's key. Returns the name of its file. */
export function impostorRoot(site: Site): string {
  const real = parseCertificate(decodePem(fs.readFileSync(path.join(site.folder, `${site.rootId}.pem`), 'utf8'), 'CERTIFICATE'));
  const tbs = encodeTbs({ ...real, spki: STRANGER.spki, signatureAlgorithm: STRANGER.algorithm });
  return site.write('impostor-root.pem', encodePem('CERTIFICATE', assembleCertificate(tbs, STRANGER.algorithm, STRANGER.sign(tbs))));
}
