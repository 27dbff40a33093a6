/** The path validator (docs/path-validation.md): CPU for a path of three P-256 certificates, and questions a second of `signet verify --batch`. No service takes part. */
import { spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createStore, readCertificate, validatePath } from '../../src/verify/path/index.ts';
import { ALGORITHMS } from '../../src/x509/algorithms.ts';
import { encodeAuthorityKeyIdentifier } from '../../src/x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints } from '../../src/x509/extensions/basic-constraints.ts';
import { encodeExtendedKeyUsage } from '../../src/x509/extensions/extended-key-usage.ts';
import { encodeKeyUsage } from '../../src/x509/extensions/key-usage.ts';
import { encodeSubjectAlternativeName } from '../../src/x509/extensions/subject-alternative-name.ts';
import { encodeSubjectKeyIdentifier } from '../../src/x509/extensions/subject-key-identifier.ts';
import { encodeName } from '../../src/x509/names.ts';
import { keyIdentifierOf } from '../../src/x509/public-key.ts';
import { makeSerial } from '../../src/x509/serial.ts';
import { assembleCertificate, encodeTbs } from '../../src/x509/tbs.ts';
import { endedChildrenMicros } from './processes.ts';

const PATHS = 3_000;
const WARM_UP = 300;
const DAY_MS = 86_400_000;

interface Ca {
  name: string;
  key: KeyObject;
  keyIdentifier: Buffer;
}

const at = new Date('2026-11-21T00:00:00Z');
const id = (n: number) => `spiffe://bench.test/agent/${n}`;

/** One certificate for a key of its own. */
function certify(name: string, issuer: Ca | undefined, n?: number): { der: Buffer; ca: Ca } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding: { format: 'der', type: 'spki' }, privateKeyEncoding: { format: 'der', type: 'pkcs8' } });
  const ca: Ca = { name, key: createPrivateKey({ key: pair.privateKey, format: 'der', type: 'pkcs8' }), keyIdentifier: keyIdentifierOf(pair.publicKey) };
  const signer = issuer ?? ca;
  const isCa = n === undefined;
  const algorithm = ALGORITHMS['ecdsa-p256'].signature;
  const notAfter = new Date(at.getTime() + DAY_MS);
  const tbs = encodeTbs({
    serial: makeSerial(notAfter, Buffer.concat([Buffer.alloc(11, 1), Buffer.from([isCa ? 1 : 2]), Buffer.from([0, 0, (n ?? 0) >> 8, (n ?? 0) & 0xff])])),
    issuerName: encodeName([{ type: 'CN', value: signer.name }]),
    signatureAlgorithm: algorithm.der,
    notBefore: new Date(at.getTime() - DAY_MS),
    notAfter,
    subject: [{ type: 'CN', value: name }],
    spki: pair.publicKey,
    extensions: [
      encodeAuthorityKeyIdentifier(signer.keyIdentifier),
      encodeSubjectKeyIdentifier(ca.keyIdentifier),
      encodeKeyUsage(isCa ? ['keyCertSign', 'cRLSign'] : ['digitalSignature']),
      encodeBasicConstraints({ ca: isCa }),
      ...(isCa ? [] : [encodeExtendedKeyUsage(['clientAuth']), encodeSubjectAlternativeName({ uris: [id(n)], dnsNames: [] }, false)]),
    ],
  });
  return { der: assembleCertificate(tbs, algorithm.der, sign(algorithm.digest, tbs, signer.key)), ca };
}

export interface VerifyFigures {
  /** CPU in µs a path of three. */
  cold: number;
  warm: number;
  /** The issuer itself is the anchor. */
  knownIssuer: number;
  /** With the start of the program. */
  batch: { perSecond: number; cpuMicros: number };
}

/** @throws Error when a path that is valid is not found to be */
export function verify(): VerifyFigures {
  const root = certify('Bench Root', undefined);
  const issuing = certify('Bench Issuing CA', root.ca);
  const leaves = Array.from({ length: PATHS }, (_, n) => certify(`Agent ${n}`, issuing.ca, n).der);
  const [anchors, intermediates, issuers] = [createStore([root.der]), createStore([issuing.der]), createStore([issuing.der])];
  const judge = (leaf: Buffer, n: number, stores: { anchors: ReturnType<typeof createStore>; intermediates?: ReturnType<typeof createStore> }) => {
    const certificate = readCertificate(leaf);
    if ('code' in certificate || !validatePath({ ...stores, leaf: certificate, time: at, purpose: 'clientAuth', spiffeId: id(n) }).valid) throw new Error('a valid path is not found to be valid');
  };
  const micros = (work: (leaf: Buffer, n: number) => void): number => {
    leaves.slice(0, WARM_UP).forEach(work);
    const before = process.cpuUsage();
    leaves.forEach(work);
    const used = process.cpuUsage(before);
    return (used.user + used.system) / leaves.length;
  };
  return {
    cold: micros((leaf, n) => judge(leaf, n, { anchors: createStore([root.der]), intermediates: createStore([issuing.der]) })),
    warm: micros((leaf, n) => judge(leaf, n, { anchors, intermediates })),
    knownIssuer: micros((leaf, n) => judge(leaf, n, { anchors: issuers })),
    batch: batchOf(root.der, issuing.der, leaves),
  };
}

/** The program as built, with its start. */
function batchOf(root: Buffer, issuing: Buffer, leaves: readonly Buffer[]): VerifyFigures['batch'] {
  const [anchors, intermediates] = [[root.toString('base64')], [issuing.toString('base64')]];
  const questions = leaves.map((leaf, n) => JSON.stringify({ anchors, intermediates, leaf: leaf.toString('base64'), time: at.toISOString(), purpose: 'clientAuth', spiffeId: id(n) }));
  const before = endedChildrenMicros();
  const began = performance.now();
  const { stdout, status } = spawnSync(process.execPath, ['dist/signet.js', 'verify', '--batch'], { input: `${questions.join('\n')}\n`, maxBuffer: 1 << 28, encoding: 'utf8' });
  const seconds = (performance.now() - began) / 1000;
  if (status !== 0 || stdout.trimEnd().split('\n').length !== leaves.length) throw new Error(`signet verify --batch ended with ${status}`);
  return { perSecond: leaves.length / seconds, cpuMicros: (endedChildrenMicros() - before) / leaves.length };
}
