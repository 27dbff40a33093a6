/** The packages that the Go checksum database is verified with (golang.org/x/mod/sumdb), on the log of a running Signet: checkpoint, tiles, inclusion and consistency proofs. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { ConsistencyProofAnswer, InclusionProofAnswer } from '../../src/api/audit-proofs.ts';
import { startReverseProxy, type Damage } from '../support/damaging-proxy.ts';
import { jsonOf } from '../support/https-client.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, run, versionOf, type Verdict } from '../support/interop.ts';
import { noteSigner } from '../support/log.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';

const SOURCE = path.join(import.meta.dirname, '../interop/go-tlog');
const binary = path.join(temporaryFolder('signet-go-'), 'tlog');

/** Undefined without Go, and where its modules cannot be had. */
async function build(): Promise<string | undefined> {
  const version = await versionOf('go', ['version'], /go(\d\S+)/);
  if (version === undefined) return undefined;
  const child = spawn('go', ['build', '-o', binary, '.'], { cwd: SOURCE, env: { ...process.env, GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local' }, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) console.warn(`the verifier in Go could not be built: ${said}`);
  return code === 0 ? version : undefined;
}

const go = await outsideProgram({ name: 'Go x/mod/sumdb', debianPackage: 'golang-go', must: false, version: build });

async function judge(question: object): Promise<Verdict> {
  const { stdout, stderr } = await run(binary, [], { input: JSON.stringify(question) });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Verdict;
}

let service: Service;
let key: string;
const notes: string[] = [];
const sizeOf = (note: string): number => Number(note.split('\n')[1]);

const checkpoint = async (): Promise<string> => (await service.status.send('GET', '/tlog/checkpoint')).body.toString('utf8');
/** Does something, and waits until a checkpoint tells of it. */
async function grow(): Promise<void> {
  const before = sizeOf(notes.at(-1) ?? '\n0');
  await service.enrolled();
  let note = await checkpoint();
  for (; sizeOf(note) <= before; note = await checkpoint()) await sleep(100);
  notes.push(note);
}

beforeAll(async () => {
  if (!go.isHere) return;
  service = await startService();
  key = (await service.status.send('GET', '/tlog/key')).body.toString('utf8').trim();
  await grow();
  await grow();
}, INTEROP_TIMEOUT_MS);
afterAll(() => service?.close());

const inclusion = async (n: number, size: number): Promise<InclusionProofAnswer> => jsonOf(await service.admin.send('GET', `/v1/audit/${n}/proof?size=${size}`));
const consistency = async (first: number, second: number): Promise<ConsistencyProofAnswer> => jsonOf(await service.admin.send('GET', `/v1/audit/consistency?first=${first}&second=${second}`));
const changed = (hex: string): string => (hex.startsWith('0') ? '1' : '0') + hex.slice(1);

go.test('accepts checkpoints by the log key, and no other', async () => {
  for (const note of notes) {
    go.expects('good', await judge({ key, checkpoint: note }));
    go.expects('known-bad', await judge({ key, checkpoint: note.replace(/\n(\d+)\n/, (_, size: string) => `\n${Number(size) + 1}\n`) }), /invalid signature/);
    go.expects('known-bad', await judge({ key: noteSigner('signet.internal').vkey, checkpoint: note }), /no verifiable signatures/);
  }
});

go.test('accepts inclusion and consistency proofs, and none that is damaged', async () => {
  const [older = '', newest = ''] = notes;
  const [first, size] = [sizeOf(older), sizeOf(newest)];
  for (const n of [1, 2, first, size]) {
    const { index, leafHash: leaf, proof } = await inclusion(n, size);
    go.expects('good', await judge({ key, checkpoint: newest, inclusion: { index, leaf, proof } }));
    go.expects('known-bad', await judge({ key, checkpoint: newest, inclusion: { index, leaf: changed(leaf), proof } }), /invalid transparency proof/);
    go.expects('known-bad', await judge({ key, checkpoint: newest, inclusion: { index, leaf, proof: proof.slice(1) } }), /invalid transparency proof/);
    go.expects('known-bad', await judge({ key, checkpoint: newest, inclusion: { index: (index + 1) % size, leaf, proof } }), /invalid transparency proof/);
  }
  const { firstRoot, proof } = await consistency(first, size);
  expect(proof.length).toBeGreaterThan(0);
  go.expects('good', await judge({ key, checkpoint: newest, consistency: { first, firstRoot, proof } }));
  go.expects('known-bad', await judge({ key, checkpoint: newest, consistency: { first, firstRoot: changed(firstRoot), proof } }), /invalid transparency proof/);
  go.expects('known-bad', await judge({ key, checkpoint: newest, consistency: { first, firstRoot, proof: proof.with(0, changed(proof[0] ?? '')) } }), /invalid transparency proof/);
});

go.test('proves every event and every earlier tree from the tiles that are served, and finds a damaged tile', async () => {
  const newest = notes.at(-1) ?? '';
  const { status } = service.signet.urls;
  go.expects('good', await judge({ key, checkpoint: newest, tiles: `${status}/tlog` }));
  const damage: Damage = (url, body) => {
    if (url.startsWith('/tlog/tile/0/')) body[40] = (body[40] ?? 0) ^ 1;
    return body;
  };
  const proxy = await startReverseProxy(status, damage);
  try {
    go.expects('known-bad', await judge({ key, checkpoint: newest, tiles: `${proxy.url}/tlog` }), /downloaded inconsistent tile|invalid/);
  } finally {
    await proxy.close();
  }
});
