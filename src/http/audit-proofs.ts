import type * as api from '../api/audit-proofs.ts';
import { evidenceOf } from '../audit/evidence.ts';
import { consistencyOf, inclusionOf, issuanceProofOf } from '../audit/proofs.ts';
import { SignetError } from '../core/errors.ts';
import { ok } from './answers.ts';
import type { HandlerOf } from './handler.ts';
import { assertMayIdentify } from './status.ts';

/** GET /v1/audit/{event}/proof */
export const inclusion: HandlerOf<typeof api.getInclusionProof> = async (ctx, { params, query }) => ok(await inclusionOf(ctx, params.event, query.size));

/** GET /v1/audit/consistency */
export const consistency: HandlerOf<typeof api.getConsistencyProof> = async (ctx, { query }) => ok(await consistencyOf(ctx, query.first, query.second));

/** GET /v1/audit/{event}/evidence */
export const evidence: HandlerOf<typeof api.getAuditEvidence> = async (ctx, { params, now }) => {
  const authorities = ctx.authorities.snapshot();
  return ok(await evidenceOf({ db: ctx.db, config: ctx.config, chainPemFor: (issuerId) => authorities.chainPemFor(issuerId) }, params.event, now));
};

/**
 * GET /v1/certificates/{fingerprint}/proof: for every relying party, and proven anew in each newer checkpoint. The event tells more than the certificate does (from what address it was asked for,
 * by which join token): where status may be asked without a credential, this may not, and a relying party must be registered for identity.
 */
export const issuance: HandlerOf<typeof api.getIssuanceProof> = async (ctx, { params, caller }) => {
  if (caller.role === 'status-reader') throw new SignetError('authentication-required', 'proofs of issuance are for relying parties that show a token or a certificate');
  assertMayIdentify(caller);
  return ok(await issuanceProofOf(ctx, params.fingerprint), { 'cache-control': 'no-cache' });
};
