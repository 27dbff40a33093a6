import { createHash } from 'node:crypto';
import http from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { IssuanceProof } from '../../../../src/api/log-proofs.ts';
import { createLogJudge, type LogJudge, type LogSubject } from '../../../../src/client/relying-party/logged.ts';
import type { LogOptions } from '../../../../src/client/relying-party/options.ts';
import { createSystemRandom } from '../../../../src/core/random.ts';
import { LogError } from '../../../../src/verify/log/log-error.ts';
import { hexOf, MemoryLog, noteSigner, type NoteSigner } from '../../../support/log.ts';
import { listening } from '../../../support/relying-party.ts';

const CERTIFICATE = Buffer.from('any octets do: the proof is of octets');
const OTHER = Buffer.from('those of another certificate');
const sha256 = (octets: Uint8Array): string => createHash('sha256').update(octets).digest('hex');
const subject = (der = CERTIFICATE): LogSubject => ({ der, fingerprint: sha256(der), standing: undefined });
const [witness, silent] = [noteSigner('w1.example', 'cosignature'), noteSigner('w2.example', 'cosignature')];

/** Answers of the door, one after the other; the last one stays. */
type Answer = { status: number; json: unknown; retryAfter?: string };
let answers: Answer[] = [];
const asked: string[] = [];
const door = http.createServer((request, response) => {
  asked.push(`${request.headers.authorization ?? ''} ${request.url ?? ''}`);
  const [{ status, json, retryAfter } = { status: 500, json: {} }] = answers.length > 1 ? answers.splice(0, 1) : answers;
  response.writeHead(status, { 'content-type': status === 200 ? 'application/json' : 'application/problem+json', ...(retryAfter !== undefined && { 'retry-after': retryAfter }) });
  response.end(typeof json === 'string' ? json : JSON.stringify(json));
});
let url: string;
beforeAll(async () => {
  url = `http://127.0.0.1:${await listening(door)}`;
});
afterAll(() => void door.close());
beforeEach(() => void asked.splice(0));

const log = new MemoryLog(['one', 'two', 'three']);
async function proofOf(der: Buffer, witnesses: readonly NoteSigner[] = []): Promise<Answer> {
  const event = JSON.stringify({ v: 2, id: '01M7YV54J0C1R5T2E3R4J5D6F7', kind: 'certificate.issued', outcome: 'success', at: '2026-11-21T12:00:00.000Z', actor: { kind: 'join-token', id: 'x' }, fingerprint: sha256(der) });
  const index = log.append(event);
  const json: IssuanceProof = {
    format: 'signet-issuance-proof/v1', fingerprint: sha256(der), event: Buffer.from(event).toString('base64'), index, inclusionProof: hexOf(await log.inclusionProof(index)), checkpoint: log.checkpoint(witnesses),
  };
  return { status: 200, json };
}
const problem = (status: number, code: string, retryAfter?: string): Answer => ({ status, json: { type: `urn:${code}`, title: code, status, code }, ...(retryAfter !== undefined && { retryAfter }) });

const judges: LogJudge[] = [];
afterAll(() => judges.forEach((judge) => judge.close()));
function judge(options: Partial<LogOptions> = {}, mode: 'closed' | 'open' = 'closed', maxStalenessMs = 60_000): LogJudge {
  const clock = { now: () => new Date(), monotonicMs: () => performance.now() };
  const made = createLogJudge({ clock, random: createSystemRandom(), timeoutMs: 2_000, settings: { mode, maxStalenessMs }, pem: () => '' }, { logKey: log.signer.vkey, from: { urls: [url], token: 'credential' }, ...options });
  judges.push(made);
  return made;
}

describe('only logged certificates', () => {
  test('a proof that holds is asked for once, with the credential, and is good for ever', async () => {
    answers = [await proofOf(CERTIFICATE)];
    const [to, one] = [judge(), subject()];
    expect(to.now(one)).toBeUndefined();
    const said = await Promise.all(Array.from({ length: 50 }, () => to.ask(one)));
    answers = [problem(404, 'certificate-not-found')];
    expect([said.every(({ is }) => is === 'proven'), (await to.ask(one)).is, to.now(one)]).toEqual([true, 'proven', { is: 'proven' }]);
    expect(asked).toEqual([`Bearer credential /v1/certificates/${sha256(CERTIFICATE)}/proof`]);
  });

  test.each<[string, () => Promise<Answer> | Answer, Partial<LogOptions>]>([
    ['that was never issued', () => problem(404, 'certificate-not-found'), {}],
    ['with the proof of another', () => proofOf(OTHER), {}],
    ['with a proof of another log', () => proofOf(CERTIFICATE), { logKey: noteSigner('agents.example').vkey }],
    ['with a proof that was changed', async () => ({ status: 200, json: { ...((await proofOf(CERTIFICATE)).json as IssuanceProof), index: 0 } }), {}],
    ['with something that is no proof', () => ({ status: 200, json: { format: 'other' } }), {}],
  ])('a certificate %s is refused in either mode', async (_, answer, options) => {
    answers = [await answer()];
    for (const mode of ['closed', 'open'] as const) expect(await judge(options, mode).ask(subject())).toMatchObject({ is: 'refused', refused: { code: 'certificate-not-logged', status: 403 } });
  });

  test('one that is not in the log yet is waited for, within a bound', async () => {
    answers = [problem(503, 'event-not-logged', '1'), await proofOf(CERTIFICATE)];
    expect(await judge().ask(subject())).toEqual({ is: 'proven' });
    expect(asked).toHaveLength(2);
    answers = [problem(503, 'event-not-logged', '60')];
    expect(await judge().ask(subject())).toMatchObject({ is: 'refused', refused: { code: 'status-unknown', detail: expect.stringContaining('waited for 5000 ms') as unknown } });
    expect(await judge({}, 'open').ask(subject())).toMatchObject({ is: 'assumed' });
  });

  test('as many witnesses as it is told; fewer may be more a moment later', async () => {
    const witnesses = [witness.vkey, silent.vkey];
    answers = [await proofOf(CERTIFICATE), await proofOf(CERTIFICATE, [witness])];
    expect(await judge({ witnesses, quorum: 1 }).ask(subject())).toEqual({ is: 'proven' });
    expect(await judge({ witnesses, quorum: 2, waitMs: 100 }).ask(subject())).toMatchObject({ is: 'refused', refused: { code: 'status-unknown', detail: expect.stringContaining('too-few-witnesses') as unknown } });
  });

  test.each<[string, Answer]>([
    ['the log has stopped', problem(503, 'event-not-logged')],
    ['the event was purged', problem(410, 'event-purged')],
    ['the credential is refused', problem(401, 'authentication-required')],
    ['the door is broken', { status: 500, json: 'oops' }],
    ['the answer is no JSON', { status: 200, json: '<html>' }],
  ])('nobody can know when %s: closed refuses, open lets in for as long as it may', async (_, answer) => {
    answers = [answer];
    expect(await judge().ask(subject())).toMatchObject({ is: 'refused', refused: { code: 'status-unknown' } });
    const open = judge({}, 'open', 150);
    expect(await open.ask(subject())).toMatchObject({ is: 'assumed', why: expect.stringContaining('whether it was logged is not known') as unknown });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await open.ask(subject())).toMatchObject({ is: 'refused', refused: { code: 'status-unknown' } });
  });

  test('options that nothing could fulfil are told at once', () => {
    expect(() => judge({ logKey: 'no key' })).toThrow(LogError);
    expect(() => judge({ logKey: witness.vkey })).toThrow('witness');
    expect(() => judge({ witnesses: [witness.vkey], quorum: 2 })).toThrow(RangeError);
    expect(() => judge({ from: undefined })).toThrow(RangeError);
  });
});
