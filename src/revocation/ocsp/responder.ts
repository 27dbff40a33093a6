import type { Authorities, AuthoritySnapshot, Issuer } from '../../authorities/authorities.ts';
import type { Clock } from '../../core/clock.ts';
import { SignetError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Metrics } from '../../core/metrics.ts';
import { asServiceError } from '../../db/errors.ts';
import { OcspRequestError, parseOcspRequest, type OcspCertId, type OcspRequest } from '../../x509/ocsp-request.ts';
import { encodeOcspError } from '../../x509/ocsp-response.ts';
import type { RevocationSignals } from '../signals.ts';
import type { StatusReader, StatusView } from '../status-reader.ts';
import { createAnswerSigner, type Question } from './answer-signer.ts';
import { createResponseCache, type CachedResponse } from './response-cache.ts';

/** An OCSP answer for HTTP: always status 200 (RFC 6960 appendix A.2), errors included. Header names in lower case. */
export interface OcspAnswer {
  bytes: Buffer;
  headers: Record<string, string>;
}

export interface OcspResponder {
  /** Answers one OCSPRequest (DER). Never throws: faults are OCSP error answers (RFC 6960 §2.3). */
  answer(der: Uint8Array): Promise<OcspAnswer>;
  /** The answer that is kept to exactly these octets and may be given now; else it is for `answer` to find out. */
  recall(der: Buffer, now: Date): KeptAnswer | undefined;
}

/** An answer that is kept: its octets as characters (latin1), as a socket takes them at once with the head. */
export interface KeptAnswer {
  octets: string;
  headers: Record<string, string>;
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
  const sign = createAnswerSigner(needs);
  /** Answers being made that more than one may get, by responder and CertID. */
  const underWay = new Map<string, Promise<Made>>();

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
    if (cached) return { bytes: Buffer.from(cached.octets, 'latin1'), headers: told(cached.said, 'cache', now) };

    const question = { request, issuer, responder, issuers };
    for (let reading = 0; reading < MAX_READINGS; reading++) {
      const { response, view } = await (shared ? sharedAnswer(shared, question, now) : make(question, now));
      // Nothing is awaited from here to the handing over: what was revoked meanwhile has been signalled, or is not yet acknowledged. Who waited for another's answer
      // asks for himself: his question came later than its reading.
      if (view.isCurrent()) return { bytes: response.bytes, headers: told(response, view.fromMemory ? 'memory' : 'database', now) };
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

  /** Counts an answer; returns its header fields. */
  function told(said: Omit<CachedResponse, 'bytes'>, source: 'cache' | 'memory' | 'database', now: Date): Record<string, string> {
    for (const status of said.statuses) metrics.ocspAnswers.inc({ status, source });
    return cachingHeaders(said, config.ocspMaxAgeSeconds, now);
  }

  function failed(status: ErrorStatus): OcspAnswer {
    metrics.ocspAnswers.inc({ status, source: 'none' });
    return { bytes: encodeOcspError(status), headers: NOT_CACHED };
  }

  return {
    recall(der, now) {
      const kept = cache.recall(der, now);
      if (!kept) return undefined;
      const responder = authorities.snapshot().responderFor(kept.said.issuerId);
      if (responder?.id !== kept.said.responderId || responder.notAfter <= now) return undefined;
      return { octets: kept.octets, headers: told(kept.said, 'cache', now) };
    },
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

function ourIssuer(snapshot: AuthoritySnapshot, id: OcspCertId): Issuer | undefined {
  return id.hashAlgorithm && snapshot.byNameAndKeyHash(id.hashAlgorithm, id.issuerNameHash, id.issuerKeyHash);
}

/** The database is away, or too much waits for it or for the key store: the same question may be answered soon. */
function isPassing(error: unknown): boolean {
  const known = error instanceof SignetError ? error : asServiceError(error);
  return known?.code === 'overloaded' || known?.code === 'database-unavailable';
}

const NOT_CACHED = { 'content-type': OCSP_RESPONSE_TYPE, 'cache-control': 'no-store' };

/** RFC 5019 §6.2. A cache keeps an answer no longer than `maxAgeSeconds`, nor past its nextUpdate. */
function cachingHeaders({ etag, times }: Omit<CachedResponse, 'bytes'>, maxAgeSeconds: number, now: Date): Record<string, string> {
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
