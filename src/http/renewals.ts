import type * as api from '../api/renewals.ts';
import type { RenewalInfoAnswer, RenewalSteerAnswer } from '../api/renewals.ts';
import { renewalInfo } from '../issuance/renewal-info.ts';
import { steerRenewals } from '../revocation/steer-renewals.ts';
import { created, iso, ok } from './answers.ts';
import type { HandlerOf } from './handler.ts';

/** GET /v1/renewal-info, over mutual TLS: about the certificate that is shown. Retry-After as RFC 9773 §4.3.2 has it. */
export const info: HandlerOf<typeof api.getRenewalInfo> = async (ctx, { origin, peerCertificate, now }) => {
  const { serial, window, steered, askAgainSeconds } = await renewalInfo(ctx, origin, peerCertificate, now);
  const answer: RenewalInfoAnswer = {
    serial,
    suggestedWindow: { start: iso(window.start), end: iso(window.end) },
    ...(steered?.explanationUrl ? { explanationUrl: steered.explanationUrl } : {}),
    steered: steered !== undefined,
    askAgainSeconds,
  };
  return ok(answer, { 'retry-after': String(askAgainSeconds) });
};

/** POST /v1/renewals/steer */
export const steer: HandlerOf<typeof api.steerRenewals> = async (ctx, { origin, body, now }) => {
  const { id, certificates, createdAt, expiresAt } = await steerRenewals(ctx, origin, { ...body, now });
  const answer: RenewalSteerAnswer = { id, selector: body.selector, withinSeconds: body.withinSeconds, certificates, createdAt: iso(createdAt), expiresAt: iso(expiresAt) };
  return created(answer);
};
