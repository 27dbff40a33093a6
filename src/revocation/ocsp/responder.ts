import type { Authorities, AuthoritySnapshot, Issuer, Responder } from '../../authorities/authorities.ts';
import type { Clock } from '../../core/clock.ts';
import { SignetError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Metrics } from '../../core/metrics.ts';
import { asServiceError } from '../../db/errors.ts';
import { OcspRequestError, parseOcspRequest, type OcspCertId, type OcspRequest } from '../../x509/ocsp-request.ts';
import { assembleOcspResponse, encodeOcspError, encodeOcspResponseData, type SingleStatus } from '../../x509/ocsp-response.ts';
import { entityTag } from '../entity-tag.ts';
import { REASONS } from '../reasons.ts';
import type { RevocationSignals } from '../signals.ts';
import type { StatusReader, CertificateState, StatusView } from '../status-reader.ts';
import { subjectKeyHash } from './key-hash.ts';
import { createResponseCache, type CachedResponse, type ResponseTimes } from './response-cache.ts';

/** An OCSP answer for HTTP: always status 200 (RFC 6960 appendix A.2), errors included. Header names in lower case. */
export interface OcspAnswer {
  bytes: Buffer;
  headers: Record<string, string>;
}

export interface OcspResponder {
  /** Answers one OCSPRequest (DER). Never throws: faults are OCSP error answers (RFC 6960 §2.3). */
  answer(der: Uint8Array): Promise<OcspAnswer>;
}

export interface OcspResponderNeeds {
  authorities: Pick<Authorities, 'snapshot'>;
  statuses: StatusReader;
  signals: RevocationSignals;
  /** `positionAgeMs` of the feed follower. */
  feed: { positionAgeMs(): number };
  clock: Clock;
  log: Logger;
  metrics: Pick<Metrics, 'ocspAnswers'>;
  config: { ocspCacheEntries: number; ocspMaxAgeSeconds: number; ocspMaxCertIds: number; ocspValiditySeconds: number; ocspSigningMax: number };
}

type ErrorStatus = Parameters<typeof encodeOcspError>[0];

/** One question as it is answered: who signs, and which of our issuers each CertID names. */
interface Question {
  request: OcspRequest;
  issuer: Issuer;
  responder: Responder;
  issuers: readonly (Issuer | undefined)[];
}

/** A signed answer, and the reading of the statuses in it. */
interface Made {
  response: CachedResponse;
  view: StatusView;
}

const MAX_REQUEST_BYTES = 16_384;
/** Readings in a row that a change may outdate before the client is told to come back. */
const MAX_READINGS = 4;
export const OCSP_RESPONSE_TYPE = 'application/ocsp-response';

/** The responder of this process, for all our issuers (DESIGN §6). */
export function createOcspResponder(needs: OcspResponderNeeds): OcspResponder {
  const { authorities, statuses, clock, log, metrics, config } = needs;
  const cache = createResponseCache(needs);
  const timesOf = createTimes(config.ocspValiditySeconds);
  /** Answers being made that more than one may get, by responder and CertID. */
  const underWay = new Map<string, Promise<Made>>();
  let signing = 0;

  async function respond(request: OcspRequest): Promise<OcspAnswer> {
    const now = clock.now();
    const snapshot = authorities.snapshot();
    const issuers = request.certIds.map((id) => ourIssuer(snapshot, id));
    // The responder of the first known issuer answers the whole request; it may not speak for another one.
    const issuer = issuers.find((one) => one !== undefined);
    if (!issuer) return failed('unauthorized');
    const responder = snapshot.responderFor(issuer.id);
    if (!responder || responder.notAfter <= now) return failed('tryLater');

    // Only the answer about one certificate and without a nonce is the same for everyone (RFC 5019 §2.1, RFC 9654 §2.1).
    const [certId] = request.certIds;
    const shared = certId && request.certIds.length === 1 && !request.nonce ? certId : undefined;
    const cached = shared && cache.find(shared, responder.id, now);
    if (cached) return told(cached, 'cache', now);

    const question = { request, issuer, responder, issuers };
    for (let reading = 0; reading < MAX_READINGS; reading++) {
      const { response, view } = await (shared ? sharedAnswer(shared, question, now) : make(question, now));
      // Nothing is awaited from here to the handing over: what was revoked meanwhile has been signalled, or is not yet acknowledged. Who waited for another's answer
      // asks for himself: his question came later than its reading.
      if (view.isCurrent()) return told(response, view.fromMemory ? 'memory' : 'database', now);
    }
    return failed('tryLater');
  }

  /** Whoever asks what is being answered already waits for that answer: one lookup, one signature. */
  function sharedAnswer(id: OcspCertId, question: Question, now: Date): Promise<Made> {
    const key = `${question.responder.id} ${id.raw.toString('latin1')}`;
    const before = underWay.get(key);
    if (before) return before;
    const making = make(question, now)
      .then((made) => {
        if (made.view.cacheable && made.response.etag !== undefined && made.view.isCurrent()) cache.keep(id, made.response);
        return made;
      })
      .finally(() => underWay.delete(key));
    underWay.set(key, making);
    return making;
  }

  async function make(question: Question, now: Date): Promise<Made> {
    const view = await statuses.read(question.request.certIds.map((id) => id.serial));
    return { view, response: await sign(question, view, now) };
  }

  async function sign({ request, issuer, responder, issuers }: Question, view: StatusView, now: Date): Promise<CachedResponse> {
    const times = timesOf(now, responder);
    const { thisUpdate, nextUpdate } = times;
    const rows = request.certIds.map((_, index) => (issuers[index]?.id === issuer.id ? view.at(index) : undefined));
    const responses = request.certIds.map((id, index) => ({ certId: id.raw, certStatus: singleStatus(rows[index], issuer), thisUpdate, nextUpdate }));
    const data = encodeOcspResponseData({ responderKeyHash: subjectKeyHash(responder), producedAt: thisUpdate, responses, nonce: request.nonce });
    const bytes = assembleOcspResponse(data, responder.signatureAlgorithm, await signatureOver(data, responder), [responder.der]);
    // A serial that is unknown now may be one that is being issued.
    const cacheable = request.nonce === undefined && responses.every((response) => response.certStatus.status !== 'unknown');
    return {
      bytes,
      etag: cacheable ? entityTag(bytes) : undefined,
      statuses: responses.map((response) => response.certStatus.status),
      permanent: rows.every((row) => row?.revokedAt),
      responderId: responder.id,
      times,
    };
  }

  /** @throws SignetError `overloaded` when too many wait for the key store */
  async function signatureOver(data: Buffer, { key }: Responder): Promise<Buffer> {
    if (signing >= config.ocspSigningMax) throw new SignetError('overloaded', 'Too many OCSP answers wait for their signature.', { retryAfterSeconds: 1 });
    signing++;
    try {
      return await key.sign(data);
    } finally {
      signing--;
    }
  }

  function told(response: CachedResponse, source: 'cache' | 'memory' | 'database', now: Date): OcspAnswer {
    for (const status of response.statuses) metrics.ocspAnswers.inc({ status, source });
    return { bytes: response.bytes, headers: cachingHeaders(response, config.ocspMaxAgeSeconds, now) };
  }

  function failed(status: ErrorStatus): OcspAnswer {
    metrics.ocspAnswers.inc({ status, source: 'none' });
    return { bytes: encodeOcspError(status), headers: NOT_CACHED };
  }

  return {
    async answer(der) {
      try {
        return await respond(parseOcspRequest(der, { maxBytes: MAX_REQUEST_BYTES, maxCertIds: config.ocspMaxCertIds }));
      } catch (error) {
        if (error instanceof OcspRequestError) return failed('malformedRequest');
        if (isPassing(error)) return failed('tryLater');
        log.error({ err: error }, 'an OCSP request could not be answered');
        return failed('internalError');
      }
    },
  };
}

/** Times of an answer at `now`, in whole seconds. All answers that a responder signs within a second share them. */
function createTimes(validitySeconds: number): (now: Date, responder: Responder) => ResponseTimes {
  let last: { second: number; responder: Responder; times: ResponseTimes } | undefined;
  return (now, responder) => {
    const second = Math.floor(now.getTime() / 1000);
    if (last?.second !== second || last.responder !== responder) {
      const thisUpdate = new Date(second * 1000);
      const nextUpdate = new Date(Math.floor(Math.min((second + validitySeconds) * 1000, responder.notAfter.getTime()) / 1000) * 1000);
      last = { second, responder, times: { thisUpdate, nextUpdate, lastModified: thisUpdate.toUTCString(), expires: nextUpdate.toUTCString() } };
    }
    return last.times;
  };
}

function ourIssuer(snapshot: AuthoritySnapshot, id: OcspCertId): Issuer | undefined {
  return id.hashAlgorithm && snapshot.byNameAndKeyHash(id.hashAlgorithm, id.issuerNameHash, id.issuerKeyHash);
}

/** Never good about what this issuer did not issue (invariant 13). A hold is a revocation with reason certificateHold (RFC 6960 §2.2). */
function singleStatus(row: CertificateState | undefined, issuer: Issuer): SingleStatus {
  if (!row || row.issuerId !== issuer.id) return { status: 'unknown' };
  if (row.revokedAt) return { status: 'revoked', at: row.revokedAt, reason: row.reason ?? undefined };
  if (row.heldAt) return { status: 'revoked', at: row.heldAt, reason: REASONS.certificateHold };
  return { status: 'good' };
}

/** The database is away, or too much waits for it or for the key store: the same question may be answered soon. */
function isPassing(error: unknown): boolean {
  const known = error instanceof SignetError ? error : asServiceError(error);
  return known?.code === 'overloaded' || known?.code === 'database-unavailable';
}

const NOT_CACHED = { 'content-type': OCSP_RESPONSE_TYPE, 'cache-control': 'no-store' };

/** RFC 5019 §6.2. A cache keeps an answer no longer than `maxAgeSeconds`, nor past its nextUpdate. */
function cachingHeaders({ etag, times }: CachedResponse, maxAgeSeconds: number, now: Date): Record<string, string> {
  if (etag === undefined) return NOT_CACHED;
  const left = Math.floor((times.nextUpdate.getTime() - now.getTime()) / 1000);
  const maxAge = Math.max(0, Math.min(maxAgeSeconds, left));
  return {
    'content-type': OCSP_RESPONSE_TYPE,
    'cache-control': `max-age=${maxAge}, public, no-transform, must-revalidate`,
    etag,
    'last-modified': times.lastModified,
    expires: times.expires,
  };
}
