/** OCSP over plain HTTP, POST and GET: cold (database), status-warm (status in memory, answer signed), cached (the same question again). */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { context, nullValue, octetString, oid, sequence, unsignedInteger } from '../../src/x509/der/writer.ts';
import { encodeExtensions } from '../../src/x509/extensions/extension.ts';
import { encodeNonce } from '../../src/x509/extensions/ocsp-nonce.ts';
import { OID } from '../../src/x509/oids.ts';
import { subjectPublicKeyBits } from '../../src/x509/public-key.ts';
import { requestOf } from './connection.ts';
import { closedLoop, openPool, type Answers, type Pool } from './loops.ts';
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

/** Figures of each phase and method, with the share of answers that really came from where the phase means them to. */
export type OcspFigures = Record<`${Phase} ${Method}`, Figures & { ofSource: number }>;

export interface OcspQuestions {
  issuer: X509Certificate;
  /** Never asked about before. */
  serials: readonly Buffer[];
}

export async function ocsp(stage: Stage, { issuer, serials }: OcspQuestions): Promise<OcspFigures> {
  const certId = certIdsOf(issuer);
  const { statusWarmUp } = stage.sizes;
  const measured = serials.slice(statusWarmUp);
  const half = Math.floor(measured.length / METHODS.length);
  const pool = await openPool(stage.service.doors.status, CONNECTIONS);
  for (const method of METHODS) await closedLoop(pool, serials.slice(0, statusWarmUp).map((serial) => httpRequest(method, ocspRequest(certId(serial), randomBytes(NONCE_BYTES)))));
  const figures: Partial<OcspFigures> = {};
  for (const [index, method] of METHODS.entries()) {
    const asked = measured.slice(index * half, (index + 1) * half);
    // The last ones asked about are those that memory still has; each goes over the connection it went over before, and so to the same worker.
    const earlier = Math.max(0, asked.length - stage.sizes.ocsp);
    const recent = asked.slice(earlier - (earlier % CONNECTIONS));
    const ask = (serial: Buffer, nonce?: Buffer) => httpRequest(method, ocspRequest(certId(serial), nonce));
    figures[`cold ${method}`] = await phase(stage, pool, 'cold', asked.map((serial) => ask(serial)));
    figures[`warm ${method}`] = await phase(stage, pool, 'warm', recent.map((serial) => ask(serial, randomBytes(NONCE_BYTES))));
    figures[`cached ${method}`] = await phase(stage, pool, 'cached', recent.map((serial) => ask(serial)));
  }
  pool.close();
  return figures as OcspFigures;
}

async function phase(stage: Stage, pool: Pool, name: Phase, requests: readonly Buffer[]): Promise<Figures & { ofSource: number }> {
  const before = await answersFrom(stage, SOURCES[name]);
  const { figures, answers } = await measure(stage, () => closedLoop(pool, requests));
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

const ocspRequest = (certId: Buffer, nonce: Buffer | undefined): Buffer =>
  sequence(sequence(sequence(sequence(certId)), ...(nonce ? [context(2, encodeExtensions([encodeNonce(nonce)]))] : [])));

const httpRequest = (method: Method, der: Buffer): Buffer =>
  method === 'post' ? requestOf('POST', '/ocsp', { 'content-type': 'application/ocsp-request' }, der) : requestOf('GET', `/ocsp/${encodeURIComponent(der.toString('base64'))}`);
