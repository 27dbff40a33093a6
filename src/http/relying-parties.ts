import { revokeAdminToken } from '../admins/revoke.ts';
import type * as api from '../api/relying-parties.ts';
import type { RelyingPartyAnswer, RelyingPartyCertificateAnswer } from '../api/relying-parties.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { listAdminTokenViews } from '../db/views/admin-tokens.ts';
import { findRelyingPartyView, listRelyingPartyViews, type PinnedCertificateView, type RelyingPartyView } from '../db/views/relying-parties.ts';
import * as certificates from '../relying-parties/certificates.ts';
import { changeRelyingParty } from '../relying-parties/change.ts';
import { registerRelyingParty } from '../relying-parties/register.ts';
import { disableRelyingParty, enableRelyingParty } from '../relying-parties/state.ts';
import { createRelyingPartyToken } from '../relying-parties/tokens.ts';
import { renderToken, shownOnce } from './admin-tokens.ts';
import { created, iso, ok, pageSize } from './answers.ts';
import type { Answer, CreatingHandlerOf, HandlerOf } from './handler.ts';

/** POST /v1/relying-parties */
export const register: CreatingHandlerOf<typeof api.registerRelyingParty> = async (ctx, { origin, body, now }, tx) => {
  const party = { ...(await registerRelyingParty(ctx, tx, origin, body, now)), certificates: [] };
  return created(render(party), { location: `/v1/relying-parties/${party.id}`, etag: etagOf(party) });
};

/** GET /v1/relying-parties */
export const list: HandlerOf<typeof api.listRelyingParties> = async (ctx, { query }) => {
  const { cursor, limit, ...filters } = query;
  const { items, nextCursor } = await listRelyingPartyViews(ctx.db, filters, { cursor, limit: pageSize(ctx, limit) });
  return ok({ items: items.map(render), nextCursor });
};

/** GET /v1/relying-parties/{relyingPartyId} */
export const get: HandlerOf<typeof api.getRelyingParty> = (ctx, { params }) => answer(ctx, params.relyingPartyId);

/** PATCH /v1/relying-parties/{relyingPartyId} */
export const change: HandlerOf<typeof api.changeRelyingParty> = async (ctx, { origin, params, body, ifMatch, now }) => {
  await changeRelyingParty(ctx, origin, params.relyingPartyId, { changes: body, version: ifMatch, now });
  return answer(ctx, params.relyingPartyId);
};

/** POST /v1/relying-parties/{relyingPartyId}/disable */
export const disable: HandlerOf<typeof api.disableRelyingParty> = async (ctx, { origin, params, body, now }) => {
  await disableRelyingParty(ctx, origin, params.relyingPartyId, { reason: body.reason, now });
  return answer(ctx, params.relyingPartyId);
};

/** POST /v1/relying-parties/{relyingPartyId}/enable */
export const enable: HandlerOf<typeof api.enableRelyingParty> = async (ctx, { origin, params, body, now }) => {
  await enableRelyingParty(ctx, origin, params.relyingPartyId, { reason: body.reason, now });
  return answer(ctx, params.relyingPartyId);
};

/** POST /v1/relying-parties/{relyingPartyId}/certificates */
export const addCertificate: CreatingHandlerOf<typeof api.addRelyingPartyCertificate> = async (ctx, { origin, params, body, now }, tx) =>
  created(renderCertificate(await certificates.addCertificate(ctx, tx, origin, { ...params, ...body }, now)));

/** POST /v1/relying-parties/{relyingPartyId}/certificates/{certificateId}/remove */
export const removeCertificate: HandlerOf<typeof api.removeRelyingPartyCertificate> = async (ctx, { origin, params, now }) => {
  await certificates.removeCertificate(ctx, origin, params, now);
  return answer(ctx, params.relyingPartyId);
};

/** POST /v1/relying-parties/{relyingPartyId}/tokens: the one time the secret is shown. */
export const createToken: CreatingHandlerOf<typeof api.createRelyingPartyToken> = async (ctx, { origin, params, body, now }, tx) =>
  shownOnce(await createRelyingPartyToken(ctx, tx, origin, { ...params, name: body.name, ttlSeconds: body.ttlSeconds }, now));

/** GET /v1/relying-parties/{relyingPartyId}/tokens */
export const listTokens: HandlerOf<typeof api.listRelyingPartyTokens> = async (ctx, { params, query, now }) => {
  await found(ctx, params.relyingPartyId);
  const { items, nextCursor } = await listAdminTokenViews(ctx.db, params, { cursor: query.cursor, limit: pageSize(ctx, query.limit), now });
  return ok({ items: items.map(renderToken), nextCursor });
};

/** POST /v1/relying-parties/{relyingPartyId}/tokens/{tokenId}/revoke */
export const revokeToken: HandlerOf<typeof api.revokeRelyingPartyToken> = async (ctx, { origin, params, now }) => {
  await found(ctx, params.relyingPartyId);
  return ok(renderToken(await revokeAdminToken(ctx, origin, { ...params, now })));
};

async function found(ctx: Context, id: string): Promise<RelyingPartyView> {
  const party = await findRelyingPartyView(ctx.db, id);
  if (!party) throw new SignetError('relying-party-not-found', 'there is no relying party with this id');
  return party;
}

async function answer(ctx: Context, id: string): Promise<Answer> {
  const party = await found(ctx, id);
  return ok(render(party), { etag: etagOf(party) });
}

const etagOf = ({ version }: Pick<RelyingPartyView, 'version'>): string => `"${version}"`;

function render(party: RelyingPartyView): RelyingPartyAnswer {
  return {
    id: party.id,
    name: party.name,
    state: party.state,
    stateReason: party.stateReason,
    ownerEmail: party.ownerEmail,
    mayAsk: [...party.mayAsk],
    certificates: party.certificates.map(renderCertificate),
    version: party.version,
    createdAt: iso(party.createdAt),
    updatedAt: iso(party.updatedAt),
  };
}

function renderCertificate(certificate: PinnedCertificateView): RelyingPartyCertificateAnswer {
  return {
    id: certificate.id,
    fingerprint: certificate.fingerprint.toString('hex'),
    subject: certificate.subject,
    issuer: certificate.issuer,
    notBefore: iso(certificate.notBefore),
    notAfter: iso(certificate.notAfter),
    createdAt: iso(certificate.createdAt),
  };
}
