/** What the relying party SDK costs the service that uses it: memory with a million revoked serials, and CPU a request on a kept connection. A feed of our own, signed as the real one. */
import { fork, type ChildProcess } from 'node:child_process';
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { signStatement } from '../../src/verify/feed-statement.ts';
import { ALGORITHMS } from '../../src/x509/algorithms.ts';
import { encodeAuthorityKeyIdentifier } from '../../src/x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints } from '../../src/x509/extensions/basic-constraints.ts';
import { encodeExtendedKeyUsage } from '../../src/x509/extensions/extended-key-usage.ts';
import type { Extension } from '../../src/x509/extensions/extension.ts';
import { encodeKeyUsage } from '../../src/x509/extensions/key-usage.ts';
import { encodeSubjectAlternativeName } from '../../src/x509/extensions/subject-alternative-name.ts';
import { encodeSubjectKeyIdentifier } from '../../src/x509/extensions/subject-key-identifier.ts';
import { encodeName } from '../../src/x509/names.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { parsePublicKey } from '../../src/x509/public-key.ts';
import { makeSerial } from '../../src/x509/serial.ts';
import { assembleCertificate, encodeTbs } from '../../src/x509/tbs.ts';

export interface RelyingPartyFigures {
  revoked: number;
  /** Resident memory with the SDK less that of the same process without it, MB. */
  addedRssMb: number;
  /** CPU of the process for a request on a kept connection, µs: medians of rounds that took turns. */
  plainMicros: number;
  guardedMicros: number;
  requests: number;
}

const HOUR_MS = 3_600_000;
const ROUNDS = 8;
const TRUST_DOMAIN = 'bench.internal';

interface Made {
  der: Buffer;
  key: KeyObject;
  keyIdentifier: Buffer;
  pem: string;
  keyPem: string;
}

function makeCertificate(name: string, issuer: Made | undefined, extensions: Extension[]): Made {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + HOUR_MS)];
  const signatureAlgorithm = ALGORITHMS['ecdsa-p256'].signature.der;
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const { keyIdentifier } = parsePublicKey(spki);
  const entropy = createHash('sha256').update(name).digest().subarray(0, 16);
  const tbs = encodeTbs({
    serial: makeSerial(notAfter, entropy), issuerName: encodeName([{ type: 'CN', value: 'Bench Root' }]), signatureAlgorithm, notBefore, notAfter,
    subject: [{ type: 'CN', value: name }], spki,
    extensions: [...(issuer ? [encodeAuthorityKeyIdentifier(issuer.keyIdentifier)] : []), encodeSubjectKeyIdentifier(keyIdentifier), ...extensions],
  });
  const der = assembleCertificate(tbs, signatureAlgorithm, sign('sha256', tbs, issuer?.key ?? privateKey));
  return { der, key: privateKey, keyIdentifier, pem: encodePem('CERTIFICATE', der), keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

function makeAuthority() {
  const root = makeCertificate('Bench Root', undefined, [encodeKeyUsage(['keyCertSign', 'cRLSign']), encodeBasicConstraints({ ca: true })]);
  const leaf = (name: string, usage: Parameters<typeof encodeExtendedKeyUsage>[0], names: { uris: string[]; dnsNames: string[]; ipAddresses?: string[] }) =>
    makeCertificate(name, root, [encodeKeyUsage(['digitalSignature']), encodeExtendedKeyUsage(usage), encodeBasicConstraints({ ca: false }), encodeSubjectAlternativeName(names, false)]);
  return {
    root,
    door: leaf('door', ['serverAuth'], { uris: [], dnsNames: ['localhost'] }),
    feed: makeCertificate('feed', root, [encodeKeyUsage(['digitalSignature']), encodeExtendedKeyUsage(['jwt'])]),
    caller: leaf('caller', ['clientAuth'], { uris: [`spiffe://${TRUST_DOMAIN}/agent/01KAJ3G5N8AAAAAAAAAAAAAAAA`], dnsNames: [] }),
  };
}

/** A door that serves a snapshot of `revoked` serials, and then heartbeats. */
async function serveFeed({ door, feed }: ReturnType<typeof makeAuthority>, revoked: number): Promise<https.Server> {
  const x5c = [feed.der.toString('base64')];
  const signer = { certificate: feed.der, key: { algorithm: 'ecdsa-p256' as const, sign: (data: Uint8Array) => Promise.resolve(sign('sha256', data, feed.key)) } };
  const world = { cluster: 'bench', epoch: 1, n: revoked };
  const end = new Date(Date.now() + HOUR_MS);
  const server = https.createServer({ key: door.keyPem, cert: door.pem }, (request, response) => void (request.url?.endsWith('/snapshot') === true ? snapshot(response) : stream(response)));

  async function snapshot(response: ServerResponse): Promise<void> {
    const sum = createHash('sha256');
    const time = new Date().toISOString();
    const write = async (text: string) => {
      sum.update(text);
      if (!response.write(text)) await once(response, 'drain');
    };
    await write(`${JSON.stringify({ type: 'snapshot', ...world, time })}\n`);
    for (let i = 0; i < revoked; i += 1_000) {
      let lines = '';
      for (let j = i; j < Math.min(i + 1_000, revoked); j++) {
        const serial = makeSerial(end, createHash('md5').update(String(j)).digest()).toString('hex');
        lines += `{"type":"certificate","serial":"${serial}","status":"revoked","reason":"keyCompromise","at":"${time}","notAfter":"${end.toISOString()}"}\n`;
      }
      await write(lines);
    }
    const sha256 = sum.digest('hex');
    const jws = await signStatement('snapshot', { ...world, time, entries: revoked, sha256 }, signer);
    response.end(`${JSON.stringify({ type: 'end', entries: revoked, n: revoked, sha256, jws, x5c })}\n`);
  }
  async function stream(response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: hello\ndata: ${JSON.stringify({ ...world, heartbeatMs: 1_000 })}\n\nevent: key\ndata: ${JSON.stringify({ x5c })}\n\n`);
    while (!response.destroyed) {
      const jws = await signStatement('heartbeat', { ...world, time: new Date().toISOString() }, signer);
      response.write(`event: heartbeat\ndata: ${JSON.stringify({ jws })}\n\n`);
      await sleep(1_000);
    }
  }
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return server;
}

interface Watched {
  child: ChildProcess;
  ports: { plain: number; guarded: number };
  look(): Promise<{ cpu: NodeJS.CpuUsage; rss: number; state?: { source: string } }>;
}

async function startProcess(setting: object): Promise<Watched> {
  const child = fork(path.join(import.meta.dirname, 'relying-party-process.mjs'), { env: { ...process.env, SDK_BENCH: JSON.stringify(setting) }, execArgv: [] });
  const [{ ports }] = (await once(child, 'message')) as [{ ports: Watched['ports'] }];
  const look: Watched['look'] = async () => {
    child.send('look');
    return ((await once(child, 'message')) as [Awaited<ReturnType<Watched['look']>>])[0];
  };
  return { child, ports, look };
}

async function ask(port: number, agent: https.Agent, requests: number): Promise<void> {
  for (let i = 0; i < requests; i++) {
    await new Promise<void>((resolve, reject) => {
      https.get({ host: '127.0.0.1', port, agent }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`a request was answered ${response.statusCode}`));
        response.resume().once('end', resolve);
      }).once('error', reject);
    });
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** CPU of the process for a request to `port`, µs. */
async function microsOf(watched: Watched, port: number, agent: https.Agent, requests: number): Promise<number> {
  const before = (await watched.look()).cpu;
  await ask(port, agent, requests);
  const { cpu } = await watched.look();
  return (cpu.user + cpu.system - before.user - before.system) / requests;
}

export async function relyingParty({ revoked, requests }: { revoked: number; requests: number }): Promise<RelyingPartyFigures> {
  const made = makeAuthority();
  const feed = await serveFeed(made, revoked);
  const { port } = feed.address() as { port: number };
  const keys = { key: made.door.keyPem, cert: made.door.pem };
  const options = { trustBundle: made.root.pem, trustDomain: TRUST_DOMAIN, identity: false, refreshFrom: false, feed: { urls: [`https://localhost:${port}`], token: 'none', openWithinMs: 60_000 } };
  const [bare, guarded] = [await startProcess({ bare: true, keys }), await startProcess({ bare: false, options, keys })];
  const agents = [0, 1, 2].map(() => new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, cert: made.caller.pem, key: made.caller.keyPem })) as [https.Agent, https.Agent, https.Agent];
  try {
    const { state } = await guarded.look();
    if (state?.source !== 'feed') throw new Error(`the feed is not open: ${JSON.stringify(state)}`);
    const each = Math.ceil(requests / ROUNDS);
    await ask(bare.ports.plain, agents[0], requests);
    const rounds: [number, number][] = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push([await microsOf(guarded, guarded.ports.plain, agents[1], each), await microsOf(guarded, guarded.ports.guarded, agents[2], each)]);
    const [without, beside] = [(await bare.look()).rss, (await guarded.look()).rss];
    // The first rounds compile.
    const warm = rounds.slice(2);
    return { revoked, addedRssMb: (beside - without) / 2 ** 20, plainMicros: median(warm.map(([plain]) => plain)), guardedMicros: median(warm.map(([, one]) => one)), requests };
  } finally {
    for (const agent of agents) agent.destroy();
    for (const { child } of [bare, guarded]) child.kill();
    feed.closeAllConnections();
    feed.close();
  }
}
