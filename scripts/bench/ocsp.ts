/** OCSP over plain HTTP, POST and GET: cold (database), status-warm (status in memory, answer signed), cached (the same question again); both at a fixed rate, too. */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { context, nullValue, octetString, oid, sequence, unsignedInteger } from '../../src/x509/der/writer.ts';
import { encodeExtensions } from '../../src/x509/extensions/extension.ts';
import { encodeNonce } from '../../src/x509/extensions/ocsp-nonce.ts';
import { OID } from '../../src/x509/oids.ts';
import { subjectPublicKeyBits } from '../../src/x509/public-key.ts';
import { requestOf } from './connection.ts';
import { closedLoop, openLoop, openPool, type Answers, type Pool } from './loops.ts';
import { assertAll, measure, type Figures } from './measure.ts';
import { metric } from './metrics.ts';
import type { Stage } from './stage.ts';

const CONNECTIONS = 32;
const NONCE_BYTES = 16;
/** ENUMERATED successful, the first member of an OCSPResponse whose length takes two octets (RFC 6960 §4.2.1). */
const SUCCESSFUL = Buffer.from('0a0100', 'hex');
const STATUS_OFFSET = 4;

const METHODS = ['post', 'get'] as const;
type Method = (typeof METHODS)[number];
const SOURCES = { cold: 'database', warm: 'memory', cached: 'cache' } as const;
type Phase = keyof typeof SOURCES;
/** Of the serials whose status is in memory, the share that is asked about by POST. */
const POST_SHARE = 0.6;
/** Questions a second at half rate, for each worker: half of what a core shall answer (docs/performance.md). */
const HALF_RATE = { warm: 3_000, cached: 6_000 } as const;
/** Certificates in one question, as ocspMaxCertIds has it by default. */
const CERT_IDS = 16;

/** Figures of each phase and method, with the share of answers that really came from where the phase means them to. */
export type OcspFigures = Record<string, Figures & { ofSource: number }>;

export interface OcspQuestions {
  issuer: X509Certificate;
  /** Never asked about before: `serialsOfOcsp` of them. */
  serials: readonly Buffer[];
}

/** Certificates that this scenario asks about, warm-up included. */
export const serialsOfOcsp = ({ statusWarmUp, ocspCold, ocspKnown }: Stage['sizes']): number => statusWarmUp + METHODS.length * ocspCold + ocspKnown;

export async function ocsp(stage: Stage, { issuer, serials }: OcspQuestions): Promise<OcspFigures> {
  const { statusWarmUp, ocspCold, ocspKnown, ocspHalf } = stage.sizes;
  const certId = certIdsOf(issuer);
  const ask = (method: Method, serial: Buffer, nonce?: Buffer) => httpRequest(method, ocspRequest([certId(serial)], nonce));
  const pool = await openPool(stage.service.doors.status, CONNECTIONS);
  const figures: OcspFigures = {};
  for (const method of METHODS) await closedLoop(pool, serials.slice(0, statusWarmUp).map((serial) => ask(method, serial, randomBytes(NONCE_BYTES))));
  for (const [index, method] of METHODS.entries()) {
    const from = statusWarmUp + index * ocspCold;
    figures[`cold ${method}`] = await phase(stage, 'cold', serials.slice(from, from + ocspCold).map((serial) => ask(method, serial)), (requests) => closedLoop(pool, requests));
  }
  const known = serials.slice(statusWarmUp + METHODS.length * ocspCold).slice(0, ocspKnown);
  const byPost = Math.floor(known.length * POST_SHARE);
  for (const [method, asked] of [['post', known.slice(0, byPost)], ['get', known.slice(byPost)]] as const) {
    await remember(pool, asked, (ids) => httpRequest('post', ocspRequest(ids.map(certId), randomBytes(NONCE_BYTES))));
    const questions = asked.map((serial) => ask(method, serial));
    figures[`warm ${method}`] = await phase(stage, 'warm', questions, (requests) => closedLoop(pool, requests));
    figures[`cached ${method}`] = await phase(stage, 'cached', questions, (requests) => closedLoop(pool, requests));
    // Any free connection takes a question here: with several workers it would meet one that does not know the answer.
    if (method !== 'post' || stage.service.workers.length > 1 || ocspHalf === 0) continue;
    const again = asked.slice(-ocspHalf);
    for (const name of ['cached', 'warm'] as const) {
      const requests = again.map((serial) => ask(method, serial, name === 'warm' ? randomBytes(NONCE_BYTES) : undefined));
      figures[`${name} ${method}, ${HALF_RATE[name]}/s`] = await phase(stage, name, requests, (due) => openLoop(pool, due, HALF_RATE[name]));
    }
  }
  pool.close();
  return figures;
}

/** Asks about serials that were never issued, which no memory keeps: every part of the way to the database and back gets warm. */
export async function askAboutNothing(stage: Stage, issuer: X509Certificate, count: number, like: Buffer): Promise<void> {
  const certId = certIdsOf(issuer);
  const pool = await openPool(stage.service.doors.status, CONNECTIONS);
  const made = Array.from({ length: count }, () => Buffer.concat([like.subarray(0, -NONCE_BYTES), randomBytes(NONCE_BYTES)]));
  assertAll(await closedLoop(pool, made.map((serial, i) => httpRequest(METHODS[i % METHODS.length] ?? 'post', ocspRequest([certId(serial)])))), 200);
  pool.close();
}

/** Serials that one round of questions with CERT_IDS each asks about, over all connections. */
const BLOCK = CONNECTIONS * CERT_IDS;

/** Asks about all of them, many in a question, each over the connection that its own question will take, and so in the same worker. With a nonce, for a question about one alone: such answers are not kept, statuses are. */
async function remember(pool: Pool, serials: readonly Buffer[], questionOf: (serials: readonly Buffer[]) => Buffer): Promise<void> {
  const questions: Buffer[] = [];
  for (let block = 0; block < serials.length; block += BLOCK) {
    for (let connection = 0; connection < CONNECTIONS; connection++) {
      const asked = Array.from({ length: CERT_IDS }, (_, i) => serials[block + i * CONNECTIONS + connection]).filter((serial) => serial !== undefined);
      // One about nothing keeps the connections in step.
      questions.push(questionOf(asked));
    }
  }
  assertAll(await closedLoop(pool, questions), 200);
}

async function phase(stage: Stage, name: Phase, requests: readonly Buffer[], run: (requests: readonly Buffer[]) => Promise<Answers>): Promise<Figures & { ofSource: number }> {
  const before = await answersFrom(stage, SOURCES[name]);
  const { figures, answers } = await measure(stage, () => run(requests));
  const from = (await answersFrom(stage, SOURCES[name])) - before;
  assertAll(answers, 200);
  assertSuccessful(answers);
  return { ...figures, ofSource: from / requests.length };
}

/** "good" answers that the service counted by where they came from. */
const answersFrom = ({ service }: Stage, source: string): Promise<number> => metric(service, 'signet_ocsp_answers_total', { status: 'good', source });

function assertSuccessful({ replies }: Answers): void {
  const other = replies.find(({ body }) => !body.subarray(STATUS_OFFSET, STATUS_OFFSET + SUCCESSFUL.length).equals(SUCCESSFUL));
  if (other) throw new Error(`not a successful OCSP answer: ${other.body.subarray(0, 32).toString('hex')}`);
}

/** CertIDs with SHA-1, as openssl and RFC 5019 have them. */
function certIdsOf(issuer: X509Certificate): (serial: Buffer) => Buffer {
  const { subjectName, spki } = parseCertificate(issuer.raw);
  const sha1 = (data: Buffer) => octetString(createHash('sha1').update(data).digest());
  const prefix = [sequence(oid(OID.sha1), nullValue()), sha1(subjectName), sha1(subjectPublicKeyBits(spki))];
  return (serial) => sequence(...prefix, unsignedInteger(serial));
}

const ocspRequest = (certIds: readonly Buffer[], nonce?: Buffer): Buffer =>
  sequence(sequence(sequence(...certIds.map((id) => sequence(id))), ...(nonce ? [context(2, encodeExtensions([encodeNonce(nonce)]))] : [])));

const httpRequest = (method: Method, der: Buffer): Buffer =>
  method === 'post' ? requestOf('POST', '/ocsp', { 'content-type': 'application/ocsp-request' }, der) : requestOf('GET', `/ocsp/${encodeURIComponent(der.toString('base64'))}`);
