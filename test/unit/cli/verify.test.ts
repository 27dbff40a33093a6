import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runCli } from '../../../src/cli/run.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { crlOf, ocspOf } from '../../support/path-requests.ts';
import { makeIssuing, makeLeaf, makeRoot, NOW, SPIFFE_ID } from '../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);
const leaf = makeLeaf(issuing);
const pem = ({ certificate }: { certificate: { der: Buffer } }) => encodePem('CERTIFICATE', certificate.der);
const time = NOW.toISOString();
const question = { anchors: [pem(root)], intermediates: [issuing.certificate.der.toString('base64')], leaf: pem(leaf), time };

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'signet-verify-'));
  writeFileSync(path.join(folder, 'chain.pem'), `some words\n${pem(leaf)}${pem(issuing)}`);
  writeFileSync(path.join(folder, 'root.der'), root.certificate.der);
  writeFileSync(path.join(folder, 'issuing.crl'), crlOf(issuing, { entries: [{ serial: leaf.certificate.serial, revokedAt: NOW, reason: 1 }] }));
  writeFileSync(path.join(folder, 'answer.ocsp'), ocspOf(leaf, issuing));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function verify(args: string[], input = '') {
  const said = { out: '', err: '' };
  const io = { out: { write: (text: string | Uint8Array) => (said.out += Buffer.from(text).toString()) }, err: { write: (text: string) => (said.err += text) }, env: {}, in: Readable.from([Buffer.from(input)]) };
  return { code: await runCli(['verify', ...args], io, []), ...said };
}
const files = (...args: string[]) => [path.join(folder, 'chain.pem'), '--root', path.join(folder, 'root.der'), '--time', time, ...args];

test('in plain words', async () => {
  const good = await verify(files('--purpose', 'clientAuth', '--spiffe-id', SPIFFE_ID, '--ocsp', path.join(folder, 'answer.ocsp')));
  expect(good).toEqual({ code: 0, err: '', out: expect.stringMatching(/^valid\n {2}certificate {2}CN=Test Agent, .*\n {2}issued by {4}CN=Test Issuing CA, .*\n {2}anchor {7}CN=Test Root, .*\n$/) });
  const bad = await verify(files('--crl', path.join(folder, 'issuing.crl'), '--revocation', 'leaf'));
  expect(bad).toMatchObject({ code: 1, out: expect.stringContaining('NOT valid\n  revoked: CN=Test Agent is revoked since 2026-11-21T00:00:00.000Z (keyCompromise)\n') });
  expect(JSON.parse((await verify(files('--json'))).out)).toMatchObject({ valid: true, reasons: [], path: [leaf, issuing, root].map(({ certificate }) => certificate.der.toString('base64')) });
});

test('wrong use says so', async () => {
  expect(await verify([])).toMatchObject({ code: 64, err: expect.stringContaining('needs a file with the certificate') });
  expect(await verify([path.join(folder, 'chain.pem')])).toMatchObject({ code: 64, err: expect.stringContaining('nothing to trust') });
  expect(await verify([path.join(folder, 'none.pem'), '--root', path.join(folder, 'root.der')])).toMatchObject({ code: 64, err: expect.stringContaining('no such file') });
  for (const wrong of [['--purpose', 'tea'], ['--time', 'noon'], ['--policy', 'x'], ['--nonce', 'zz'], ['--revocation', 'maybe'], ['--crl', path.join(folder, 'chain.pem')]]) {
    expect(await verify(files(...wrong))).toMatchObject({ code: 64, out: '' });
  }
});

test('one question as JSON', async () => {
  expect(JSON.parse((await verify(['--json'], JSON.stringify(question))).out)).toMatchObject({ valid: true, reasons: [] });
  const { code, out } = await verify(['--json'], JSON.stringify({ ...question, time: '2027-01-01T00:00:00Z', host: 'agent.example.test', initialPolicies: ['any'], crls: null }));
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ valid: false, reasons: [{ code: 'expired', certificate: { subject: 'CN=Test Agent', index: 0 } }] });
});

test.each([NOW.getTime() / 1000, `${NOW.getTime() / 1000}`, '2026-11-21t00:00:00z', '2026-11-21T00:00:00Z', '2026-11-21T01:00:00+01:00', '2026-11-21T00:00:00', '2026-11-21 00:00:00.5', '2026-11-21'])('time as %s', async (at) => {
  expect(JSON.parse((await verify(['--json'], JSON.stringify({ ...question, time: at }))).out)).toMatchObject({ valid: true });
});

test.each<[string, Record<string, unknown>]>([
  ['a member that is not known', { ...question, requireExplictPolicy: true }],
  ['no leaf', { ...question, leaf: undefined }],
  ['two leaves', { ...question, leaf: pem(leaf) + pem(issuing) }],
  ['a member in another spelling', { ...question, max_depth: 1 }],
  ['more unknown members than anybody needs', { ...question, ...Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-note-${i}`, 1])) }],
  ['anchors that are no list', { ...question, anchors: { root: pem(root) } }],
  ['what is not base64', { ...question, intermediates: ['%%%'] }],
  ['a flag that is a text', { ...question, requireExplicitPolicy: 'no' }],
  ['a time that is none', { ...question, time: 'tomorrow' }],
  ['a time before 1970', { ...question, time: -1 }],
  ['a time beyond the year 9999', { ...question, time: 1e12 }],
  ['a depth below 0', { ...question, maxDepth: -1 }],
  ['a purpose that is none', { ...question, purpose: 'tea' }],
])('refused as a question: %s', async (_, asked) => {
  expect(JSON.parse((await verify(['--json'], JSON.stringify(asked))).out)).toMatchObject({ valid: false, path: [], reasons: [{ code: 'malformed-request' }] });
});

test.each<[string, Record<string, unknown>]>([
  ['all anchors in one text', { ...question, anchors: pem(root) + pem(issuing) }],
  ['a purpose by its name in RFC 5280', { ...question, purpose: 'id-kp-clientAuth' }],
  ['a purpose by its object identifier', { ...question, purpose: '1.3.6.1.5.5.7.3.2' }],
  ['no purpose, as certificates say it', { ...question, purpose: 'anyExtendedKeyUsage' }],
  ['members that are null', { ...question, purpose: null, host: null, spiffeId: null, initialPolicies: null, maxDepth: null, ocsp: null, revocation: null, requireExplicitPolicy: null }],
])('taken as it is meant: %s', async (_, asked) => {
  expect(JSON.parse((await verify(['--json'], JSON.stringify(asked))).out)).toMatchObject({ valid: true, reasons: [] });
});

test("a corpus' own notes are not looked at, and the answer says so", async () => {
  const answer = JSON.parse((await verify(['--json'], JSON.stringify({ ...question, expected: 'valid', tags: ['a'] }))).out) as object;
  expect(answer).toMatchObject({ valid: true, ignored: ['expected', 'tags'] });
});

test('an id that is no text or number is not repeated: it could be nested deeper than an answer can be written', async () => {
  const deep = `{"id":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const { out } = await verify(['--batch'], [deep, JSON.stringify({ id: 'x'.repeat(2_000), ...question }), JSON.stringify({ id: 3, ...question })].join('\n'));
  const answers = out.trimEnd().split('\n').map((line) => JSON.parse(line) as { id?: unknown; valid: boolean });
  expect(answers.map(({ id, valid }) => [id, valid])).toEqual([[undefined, false], [undefined, true], [3, true]]);
});

test('a batch: an answer a line, and a bad line does not stop the others', async () => {
  const lines = [{ id: 1, ...question }, 'not JSON', { id: 3, ...question, leaf: 'AAAA' }, '[]', { id: 5, ...question, host: 'other.test' }, { id: 6, ...question }];
  const { code, out } = await verify(['--batch'], lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n\n`).join('').trimEnd());
  const answers = out.trimEnd().split('\n').map((line) => JSON.parse(line) as { id?: number; valid: boolean; reasons: { code: string }[] });
  expect(code).toBe(1);
  expect(answers.map(({ id, valid, reasons }) => [id, valid, reasons[0]?.code])).toEqual([
    [1, true, undefined], [undefined, false, 'malformed-request'], [3, false, 'malformed-certificate'], [undefined, false, 'malformed-request'], [5, false, 'host-mismatch'], [6, true, undefined],
  ]);
});
