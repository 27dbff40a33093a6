import {
  ADMIN_TOKEN_ID, API_TOKEN, lastPage, NEW_ADMIN_TOKEN_ID, PINNED_CERTIFICATE, PINNED_CERTIFICATE_ID, RELYING_PARTY_ID, RELYING_PARTY_TOKEN, RELYING_PARTY_TOKEN_ID, ROTATED_API_TOKEN, ROTATED_TOKEN_ID,
  type OperationExample,
} from './example.ts';

const bootstrap = {
  id: ADMIN_TOKEN_ID, name: 'bootstrap', role: 'admin', scopes: null, state: 'active', createdAt: '2026-11-21T10:41:41.168Z', expiresAt: '2027-02-19T10:41:41.168Z', revokedAt: null,
  lastUsedAt: '2026-11-21T10:41:47.544Z', predecessorId: null, successorId: null, relyingPartyId: null,
};
const scopes = ['agents:write', 'join-tokens:create', 'own-token:rotate'];
const made = { id: NEW_ADMIN_TOKEN_ID, name: 'ci', role: 'operator', scopes, token: API_TOKEN, expiresAt: '2026-12-21T10:44:22.761Z', predecessorId: null, predecessorEndsAt: null, relyingPartyId: null };
const rotated = { ...made, id: ROTATED_TOKEN_ID, token: ROTATED_API_TOKEN, expiresAt: '2027-01-15T08:00:00.412Z', predecessorId: NEW_ADMIN_TOKEN_ID, predecessorEndsAt: '2026-12-16T08:10:00.412Z' };

const pinned = {
  id: PINNED_CERTIFICATE_ID,
  fingerprint: '0c2f6d1b7a9e4853c1d02f4b6e8a957130c7d2e5f8196a4b3d7c05e1f2a86b94',
  subject: 'CN=gateway',
  issuer: 'CN=gateway',
  notBefore: '2026-11-20T00:00:00.000Z',
  notAfter: '2027-11-20T00:00:00.000Z',
  createdAt: '2026-11-21T10:47:30.018Z',
};
const relyingParty = {
  id: RELYING_PARTY_ID, name: 'api-gateway', state: 'active', stateReason: null, ownerEmail: 'bob@example.org', mayAsk: ['status', 'identity'], certificates: [], version: 1,
  createdAt: '2026-11-21T10:46:00.551Z', updatedAt: '2026-11-21T10:46:00.551Z',
};
const changed = (changes: object) => ({ 200: { 'application/json': { ...relyingParty, certificates: [pinned], updatedAt: '2026-11-21T10:50:44.902Z', ...changes } } });
const relyingPartyId = { relyingPartyId: RELYING_PARTY_ID };
const relyingPartyToken = { ...made, id: RELYING_PARTY_TOKEN_ID, name: 'gateway-1', role: 'relying-party', scopes: null, token: RELYING_PARTY_TOKEN, relyingPartyId: RELYING_PARTY_ID };
const shown = { ...bootstrap, id: RELYING_PARTY_TOKEN_ID, name: 'gateway-1', role: 'relying-party', lastUsedAt: null, relyingPartyId: RELYING_PARTY_ID };

export const ACCESS_EXAMPLES = {
  createAdminToken: {
    description:
      'Nobody gives away more than they have. Narrow a token by `scopes` where you can. The secret is in this answer and nowhere else; an answer that was lost is given again under the same `Idempotency-Key` for some minutes.',
    requests: { 'application/json': { name: 'ci', role: 'operator', scopes, ttlSeconds: 2_592_000 } },
    answers: { 201: { 'application/json': made } },
  },
  listAdminTokens: { description: 'Never their secrets. All filters must hold.', query: { state: 'active', role: 'admin' }, answers: { 200: lastPage(bootstrap) } },
  getOwnAdminToken: {
    description: 'Any API token may ask this of itself, whatever it is narrowed to.',
    answers: { 200: { 'application/json': { ...bootstrap, permissions: ['own-token:read', 'own-token:rotate', 'agents:read'] } } },
  },
  rotateOwnAdminToken: {
    description: 'For programs that look after their own token: keep the new secret, then use it; the old one goes on for the overlap. A token is rotated once; under the same `Idempotency-Key` a lost answer is given again.',
    requests: { 'application/json': { overlapSeconds: 600 } },
    answers: { 201: { 'application/json': rotated } },
  },
  rotateAdminToken: {
    description: 'The same for another token. A token is rotated once: its successor is in the list.',
    params: { tokenId: NEW_ADMIN_TOKEN_ID },
    requests: { 'application/json': { overlapSeconds: 600 } },
    answers: { 201: { 'application/json': rotated } },
  },
  revokeAdminToken: {
    description: 'At once on this replica, within seconds on the others. With `withSuccessors` also what it was rotated to, for one that was stolen. The last usable token of role admin stays.',
    params: { tokenId: NEW_ADMIN_TOKEN_ID },
    requests: { 'application/json': { withSuccessors: true } },
    answers: { 200: { 'application/json': { ...bootstrap, id: NEW_ADMIN_TOKEN_ID, name: 'ci', role: 'operator', scopes, state: 'revoked', revokedAt: '2026-11-21T10:45:00.120Z', lastUsedAt: null } } },
  },

  registerRelyingParty: {
    description: 'A service that asks whether certificates are good. It has no credential yet: make a token for it, or pin a certificate it has.',
    requests: { 'application/json': { name: 'api-gateway', ownerEmail: 'bob@example.org', mayAsk: ['status', 'identity'] } },
    answers: { 201: { 'application/json': relyingParty } },
  },
  listRelyingParties: { description: 'All filters must hold.', query: { state: 'active', mayAsk: 'identity' }, answers: { 200: lastPage(relyingParty) } },
  getRelyingParty: { description: 'With the certificates that are pinned to it.', params: relyingPartyId, answers: changed({ version: 2 }) },
  changeRelyingParty: {
    description: 'Only the members that are sent change; what it may ask changes at once. Send `If-Match` with the entity tag you read: 412 says that somebody else was faster.',
    params: relyingPartyId,
    requests: { 'application/json': { mayAsk: ['status'] } },
    answers: changed({ mayAsk: ['status'], version: 3 }),
  },
  disableRelyingParty: {
    description: 'Its tokens and certificates are refused with `relying-party-disabled` until it is enabled again.',
    params: relyingPartyId,
    requests: { 'application/json': { reason: 'decommissioned' } },
    answers: changed({ state: 'disabled', stateReason: 'decommissioned', version: 4 }),
  },
  enableRelyingParty: { description: 'Those of its credentials that have not ended work again.', params: relyingPartyId, requests: { 'application/json': { reason: 'it is back' } }, answers: changed({ stateReason: 'it is back', version: 5 }) },
  addRelyingPartyCertificate: {
    description: 'Of any CA but this one, valid now. It is compared as a whole: a new one must be pinned before it is used.',
    params: relyingPartyId,
    requests: { 'application/json': { certificate: PINNED_CERTIFICATE } },
    answers: { 201: { 'application/json': pinned } },
  },
  removeRelyingPartyCertificate: { description: 'Also on connections that are open.', params: { ...relyingPartyId, certificateId: PINNED_CERTIFICATE_ID }, answers: changed({ certificates: [], version: 6 }) },
  createRelyingPartyToken: {
    description: 'Of role relying-party, for status and for itself only. The secret is in this answer and nowhere else; an answer that was lost is given again under the same `Idempotency-Key` for some minutes.',
    params: relyingPartyId,
    requests: { 'application/json': { name: 'gateway-1', ttlSeconds: 2_592_000 } },
    answers: { 201: { 'application/json': relyingPartyToken } },
  },
  listRelyingPartyTokens: { description: 'Never their secrets.', params: relyingPartyId, answers: { 200: lastPage(shown) } },
  revokeRelyingPartyToken: {
    description: 'Who looks after relying parties revokes only their tokens with this; any token is revoked under `/v1/admin-tokens`.',
    params: { ...relyingPartyId, tokenId: RELYING_PARTY_TOKEN_ID },
    answers: { 200: { 'application/json': { ...shown, state: 'revoked', revokedAt: '2026-11-21T10:59:02.747Z' } } },
  },
} as const satisfies Record<string, OperationExample>;
