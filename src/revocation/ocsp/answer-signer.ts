import type { Issuer, Responder } from '../../authorities/authorities.ts';
import { SignetError } from '../../core/errors.ts';
import type { OcspRequest } from '../../x509/ocsp-request.ts';
import { assembleOcspResponse, encodeOcspResponseData, type SingleStatus } from '../../x509/ocsp-response.ts';
import { entityTag } from '../entity-tag.ts';
import { REASONS } from '../reasons.ts';
import type { CertificateState, StatusView } from '../status-reader.ts';
import { subjectKeyHash } from './key-hash.ts';
import type { CachedResponse, ResponseTimes } from './response-cache.ts';

/** One question as it is answered: who signs, and which of our issuers each CertID names. */
export interface Question {
  request: OcspRequest;
  issuer: Issuer;
  responder: Responder;
  issuers: readonly (Issuer | undefined)[];
}

export interface AnswerSignerNeeds {
  config: { ocspValiditySeconds: number; ocspSigningMax: number };
}

/** Signs the answer to a question from the statuses that were read for it. @throws SignetError `overloaded` when too many wait for the key store */
export function createAnswerSigner({ config }: AnswerSignerNeeds): (question: Question, view: StatusView, now: Date) => Promise<CachedResponse> {
  const timesOf = createTimes(config.ocspValiditySeconds);
  let signing = 0;

  async function signatureOver(data: Buffer, { key }: Responder): Promise<Buffer> {
    if (signing >= config.ocspSigningMax) throw new SignetError('overloaded', 'Too many OCSP answers wait for their signature.', { retryAfterSeconds: 1 });
    signing++;
    try {
      return await key.sign(data);
    } finally {
      signing--;
    }
  }

  return async ({ request, issuer, responder, issuers }, view, now) => {
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
      issuerId: issuer.id,
      responderId: responder.id,
      times,
    };
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

/** Never good about what this issuer did not issue (invariant 13). A hold is a revocation with reason certificateHold (RFC 6960 §2.2). */
function singleStatus(row: CertificateState | undefined, issuer: Issuer): SingleStatus {
  if (!row || row.issuerId !== issuer.id) return { status: 'unknown' };
  if (row.revokedAt) return { status: 'revoked', at: row.revokedAt, reason: row.reason ?? undefined };
  if (row.heldAt) return { status: 'revoked', at: row.heldAt, reason: REASONS.certificateHold };
  return { status: 'good' };
}
