import { SignetError } from '../core/errors.ts';
import type { getCertificate, IssuedCertificateAnswer, issueCertificate, listCertificates, renewCertificate } from '../api/certificates.ts';
import { PEM_CHAIN } from '../api/certificates.ts';
import type { Context } from '../context.ts';
import { findCertificateView, listCertificateViews } from '../db/views/certificates.ts';
import { enrollAgent } from '../issuance/enroll-agent.ts';
import type { IssuedCertificate } from '../issuance/issue-certificate.ts';
import { renewCertificate as renewPresented } from '../issuance/renew-certificate.ts';
import { DEFAULT_RENEWAL, renewalWindow } from '../profiles/apply.ts';
import { decodePem, encodePem } from '../x509/pem.ts';
import { parseSerial } from '../x509/serial.ts';
import { created, iso, ok, pageSize } from './answers.ts';
import type { Answer, ApiRequest, HandlerOf } from './handler.ts';
import { renderCertificate } from './render-certificate.ts';

/** POST /v1/certificates: enrollment by join token. */
export const issue: HandlerOf<typeof issueCertificate> = async (ctx, request) => {
  const { body, caller } = request;
  const issued = await enrollAgent(ctx, request.origin, {
    joinToken: caller.joinToken ?? '',
    csr: csrOf(request),
    agentId: body?.agentId,
    profile: body?.profile,
    ttlSeconds: body?.ttlSeconds,
    dnsNames: body?.dnsNames,
    source: request.source,
    idempotency: idempotencyOf(ctx, request, 'issueCertificate'),
    now: request.now,
  });
  return renderIssued(ctx, request, issued);
};

/** POST /v1/certificates/renew, over mutual TLS. */
export const renew: HandlerOf<typeof renewCertificate> = async (ctx, request) => {
  const issued = await renewPresented(ctx, request.origin, {
    peerCertificate: request.peerCertificate,
    csr: csrOf(request),
    ttlSeconds: request.body?.ttlSeconds,
    dnsNames: undefined,
    idempotency: idempotencyOf(ctx, request, 'renewCertificate'),
    now: request.now,
  });
  return renderIssued(ctx, request, issued);
};

/** GET /v1/certificates/{serial} */
export const get: HandlerOf<typeof getCertificate> = async (ctx, { params, now }) => {
  const found = await findCertificateView(ctx.db, parseSerial(params.serial));
  if (!found) throw new SignetError('certificate-not-found', 'no certificate with this serial was issued here');
  return ok(renderCertificate(found, now));
};

/** GET /v1/certificates */
export const list: HandlerOf<typeof listCertificates> = async (ctx, { query, now }) => {
  const { cursor, limit, ...filters } = query;
  const { items, nextCursor } = await listCertificateViews(ctx.db, filters, { cursor, limit: pageSize(ctx, limit), now });
  return ok({ items: items.map((item) => renderCertificate(item, now)), nextCursor });
};

/** The request's CSR, DER: the body itself (application/pkcs10, DER or PEM), or a member of it (PEM, or DER in base64). @throws SignetError `csr-malformed` */
function csrOf(request: Pick<ApiRequest, 'contentType' | 'rawBody'> & { body: { csr: string } | undefined }): Buffer {
  const { body, rawBody } = request;
  if (body === undefined) return rawBody.includes(PEM_BEGIN) ? fromPem(rawBody.toString('latin1')) : rawBody;
  if (body.csr.includes(PEM_BEGIN)) return fromPem(body.csr);
  const base64 = body.csr.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new SignetError('csr-malformed', 'csr must be PEM, or DER in base64');
  return Buffer.from(base64, 'base64');
}

const PEM_BEGIN = '-----BEGIN';

/** Some tools still write the older label (RFC 7468 §7), and a description of the request in front of it (§2): certtool does both by itself. */
function fromPem(text: string): Buffer {
  const pem = text.slice(Math.max(0, text.search(/^-----BEGIN /m)));
  return decodePem(pem, pem.startsWith(`${PEM_BEGIN} NEW `) ? 'NEW CERTIFICATE REQUEST' : 'CERTIFICATE REQUEST');
}

/** What the commit needs to keep the answer under the Idempotency-Key. */
function idempotencyOf(ctx: Context, request: ApiRequest<unknown, unknown, unknown>, route: string) {
  const { idempotencyKey: key, requestHash: bodyHash, now } = request;
  if (key === undefined || bodyHash === undefined) return null;
  return { route, key, bodyHash, expiresAt: new Date(now.getTime() + ctx.config.idempotencyTtlSeconds * 1000) };
}

function renderIssued(ctx: Context, request: Pick<ApiRequest, 'accept' | 'idempotencyKey'>, issued: IssuedCertificate): Answer {
  const certificate = encodePem('CERTIFICATE', issued.der);
  const chain = ctx.authorities.snapshot().chainPemFor(issued.issuerId);
  const serial = issued.serial.toString('hex');
  const headers = { location: `/v1/certificates/${serial}`, ...(issued.replayed && request.idempotencyKey !== undefined ? { 'idempotency-replayed': 'true' } : {}) };
  if (request.accept?.includes(PEM_CHAIN)) return { status: 201, bytes: Buffer.from(certificate + chain, 'latin1'), contentType: PEM_CHAIN, headers };

  const window = renewalWindow(ctx.profiles.get(issued.profile) ?? DEFAULT_RENEWAL, issued.issuedAt, issued.notAfter);
  const answer: IssuedCertificateAnswer = {
    certificate,
    chain,
    serial,
    notBefore: iso(issued.notBefore),
    notAfter: iso(issued.notAfter),
    agentId: issued.agentId,
    instanceId: issued.instanceId,
    spiffeId: issued.spiffeId,
    generation: issued.generation,
    renewal: { start: iso(window.start), end: iso(window.end) },
    receipt: issued.receipt && { eventId: issued.receipt.eventId, leafHash: issued.receipt.leafHash.toString('hex') },
  };
  return created(answer, headers);
}
