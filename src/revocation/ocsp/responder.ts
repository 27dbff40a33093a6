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
import type { StatusReader, StatusRow, StatusView } from '../status-reader.ts';
import { subjectKeyHash } from './key-hash.ts';
import { createResponseCache, type CachedResponse } from './response-cache.ts';

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
  config: { ocspCacheEntries: number; ocspMaxAgeSeconds: number; ocspMaxCertIds: number; ocspValiditySeconds: number };
}

type ErrorStatus = Parameters<typeof encodeOcspError>[0];

const MAX_REQUEST_BYTES = 16_384;
/** Readings in a row that a change may outdate before the client is told to come back. */
const MAX_READINGS = 4;
export const OCSP_RESPONSE_TYPE = 'application/ocsp-response';

/** The responder of this process, for all our issuers (DESIGN §6). */
export function createOcspResponder(needs: OcspResponderNeeds): OcspResponder {
  const { authorities, statuses, clock, log, metrics, config } = needs;
  const cache = createResponseCache(needs);

  async function respond(request: OcspRequest): Promise<OcspAnswer> {
    const now = clock.now();
    const snapshot = authorities.snapshot();
    const issuer = firstOfOurs(snapshot, request.certIds);
    if (!issuer) return failed('unauthorized');
    const responder = snapshot.responderFor(issuer.id);
    if (!responder || responder.notAfter <= now) return failed('tryLater');

    // Only the answer about one certificate and without a nonce is the same for everyone (RFC 5019 §2.1, RFC 9654 §2.1).
    const [certId] = request.certIds;
    const shared = certId && request.certIds.length === 1 && !request.nonce ? certId : undefined;
    const cached = shared && cache.find(shared, responder.id, now);
    if (cached) return counted(cached, 'cache', now);

    for (let reading = 0; reading < MAX_READINGS; reading++) {
      const view = await statuses.read(request.certIds.map((id) => id.serial));
      const signed = await sign(request, { snapshot, issuer, responder }, view, now);
      // Nothing is awaited from here to the handing over: what was revoked meanwhile has been signalled, or is not yet acknowledged.
      if (!view.isCurrent()) continue;
      if (shared && view.cacheable && signed.cacheable) cache.keep(shared, signed);
      return counted(signed, view.fromMemory ? 'memory' : 'database', now);
    }
    return failed('tryLater');
  }

  async function sign(request: OcspRequest, by: Signer, view: StatusView, now: Date): Promise<CachedResponse> {
    const { snapshot, issuer, responder } = by;
    const thisUpdate = wholeSecond(now.getTime());
    const nextUpdate = wholeSecond(Math.min(thisUpdate.getTime() + config.ocspValiditySeconds * 1000, responder.notAfter.getTime()));
    const said = request.certIds.map((id) => ({ id, row: ofIssuer(snapshot, issuer, id) ? view.get(id.serial) : undefined }));
    const responses = said.map(({ id, row }) => ({ certId: id.raw, certStatus: singleStatus(row, issuer), thisUpdate, nextUpdate }));
    const data = encodeOcspResponseData({ responderKeyHash: subjectKeyHash(responder), producedAt: thisUpdate, responses, nonce: request.nonce });
    const signature = await responder.key.sign(data);
    const bytes = assembleOcspResponse(data, responder.signatureAlgorithm, signature, [responder.der]);
    return {
      bytes,
      etag: entityTag(bytes),
      statuses: responses.map((response) => response.certStatus.status),
      // A serial that is unknown now may be one that is being issued.
      cacheable: request.nonce === undefined && responses.every((response) => response.certStatus.status !== 'unknown'),
      permanent: said.every(({ row }) => row?.revokedAt),
      responderId: responder.id,
      thisUpdate,
      nextUpdate,
    };
  }

  function counted(response: CachedResponse, source: 'cache' | 'memory' | 'database', now: Date): OcspAnswer {
    for (const status of response.statuses) metrics.ocspAnswers.inc({ status, source });
    return { bytes: response.bytes, headers: response.cacheable ? cachingHeaders(response, config.ocspMaxAgeSeconds, now) : NOT_CACHED };
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

interface Signer {
  snapshot: AuthoritySnapshot;
  issuer: Issuer;
  responder: Responder;
}

function ourIssuer(snapshot: AuthoritySnapshot, id: OcspCertId): Issuer | undefined {
  return id.hashAlgorithm && snapshot.byNameAndKeyHash(id.hashAlgorithm, id.issuerNameHash, id.issuerKeyHash);
}

/** The responder of the first known issuer answers the whole request; it may not speak for another one. */
function firstOfOurs(snapshot: AuthoritySnapshot, ids: readonly OcspCertId[]): Issuer | undefined {
  for (const id of ids) {
    const issuer = ourIssuer(snapshot, id);
    if (issuer) return issuer;
  }
  return undefined;
}

const ofIssuer = (snapshot: AuthoritySnapshot, issuer: Issuer, id: OcspCertId): boolean => ourIssuer(snapshot, id)?.id === issuer.id;

/** Never good about what this issuer did not issue (invariant 13). A hold is a revocation with reason certificateHold (RFC 6960 §2.2). */
function singleStatus(row: StatusRow | undefined, issuer: Issuer): SingleStatus {
  if (!row || row.issuerId !== issuer.id) return { status: 'unknown' };
  if (row.revokedAt) return { status: 'revoked', at: row.revokedAt, reason: row.reason ?? undefined };
  if (row.heldAt) return { status: 'revoked', at: row.heldAt, reason: REASONS.certificateHold };
  return { status: 'good' };
}

const wholeSecond = (ms: number): Date => new Date(Math.floor(ms / 1000) * 1000);

/** The database is away, or too much waits for it: the same question may be answered soon. */
function isPassing(error: unknown): boolean {
  const known = error instanceof SignetError ? error : asServiceError(error);
  return known?.code === 'overloaded' || known?.code === 'database-unavailable';
}

const NOT_CACHED = { 'content-type': OCSP_RESPONSE_TYPE, 'cache-control': 'no-store' };

/** RFC 5019 §6.2. A cache keeps an answer no longer than `maxAgeSeconds`, nor past its nextUpdate. */
function cachingHeaders(response: CachedResponse, maxAgeSeconds: number, now: Date): Record<string, string> {
  const left = Math.floor((response.nextUpdate.getTime() - now.getTime()) / 1000);
  const maxAge = Math.max(0, Math.min(maxAgeSeconds, left));
  return {
    'content-type': OCSP_RESPONSE_TYPE,
    'cache-control': `max-age=${maxAge}, public, no-transform, must-revalidate`,
    etag: response.etag,
    'last-modified': response.thisUpdate.toUTCString(),
    expires: response.nextUpdate.toUTCString(),
  };
}
