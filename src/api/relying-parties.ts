import { z } from 'zod';
import { adminToken, newAdminToken } from './admin-tokens.ts';
import { operation, UNCHANGED } from './operation.ts';
import { RELYING_PARTY_GRANTS } from './permissions.ts';
import { email, id, name, nothing, optional, page, paging, plain, seconds, time, whyBody } from './values.ts';

export const RELYING_PARTY_STATES = ['active', 'disabled'] as const;

const grant = z.enum(RELYING_PARTY_GRANTS);
const mayAsk = z
  .array(grant)
  .min(1)
  .max(RELYING_PARTY_GRANTS.length)
  .refine((grants) => !grants.includes('identity') || grants.includes('status') || grants.includes('feed'), 'identity is told in status answers and in the feed: add one of them')
  .transform((grants) => RELYING_PARTY_GRANTS.filter((one) => grants.includes(one)))
  .describe('What it may ask. `status`: good, held, revoked, expired or unknown. `identity`: also agent and instance ids in answers. `feed`: to follow the live feed, and to acknowledge as an enforcement point.');

const named = name.describe('Unique among relying parties.');
const ownerEmail = email.describe('E-mail address of the person who answers for it.');

/** Body of a registration. By default it may ask for status and learns nothing of whose a certificate is. */
export const registerRelyingPartyBody = z.strictObject({ name: named, ownerEmail, mayAsk: mayAsk.default(['status']) });
export type RegisterRelyingPartyBody = z.output<typeof registerRelyingPartyBody>;

/** Body of a change: only what is to change. */
export const changeRelyingPartyBody = z
  .strictObject({ name: optional(named), ownerEmail: optional(ownerEmail), mayAsk: optional(mayAsk) })
  .refine((body) => Object.keys(body).length > 0, 'must change something')
  .meta({ minProperties: 1 });
export type ChangeRelyingPartyBody = z.output<typeof changeRelyingPartyBody>;

/** Body of a pinned certificate: one certificate, PEM, of any CA. */
export const addCertificateBody = z.strictObject({ certificate: z.string().min(1).max(32_768).describe('One certificate of any CA, PEM.') });
export type AddCertificateBody = z.output<typeof addCertificateBody>;

export const relyingPartyCertificate = z
  .object({
    id,
    fingerprint: z.string().regex(/^[0-9a-f]{64}$/).describe('SHA-256 of the DER, hexadecimal.'),
    subject: z.string(),
    issuer: z.string(),
    notBefore: time,
    notAfter: time,
    createdAt: time,
  })
  .meta({ id: 'RelyingPartyCertificate' });
export type RelyingPartyCertificateAnswer = z.output<typeof relyingPartyCertificate>;

export const relyingParty = z
  .object({
    id,
    name: z.string(),
    state: z.enum(RELYING_PARTY_STATES).describe('`disabled`: all its credentials are refused.'),
    stateReason: z.string().nullable(),
    ownerEmail: z.string(),
    mayAsk: z.array(grant),
    certificates: z.array(relyingPartyCertificate),
    version: z.int().describe('Goes up with each change; the `ETag` is this number in quotes.'),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'RelyingParty', description: 'Somebody who may ask for status.' });
/** A relying party as the wire shows it. */
export type RelyingPartyAnswer = z.output<typeof relyingParty>;

/** Filters of the list: all must hold. */
export const listRelyingPartiesQuery = z.strictObject({
  ...paging,
  name: optional(plain(63).describe('Only the relying party of this name.')),
  state: optional(z.enum(RELYING_PARTY_STATES).describe('Only relying parties in this state.')),
  ownerEmail: optional(email.describe('Only relying parties of this owner.')),
  mayAsk: optional(grant.describe('Only relying parties that may ask this.')),
});
export type ListRelyingPartiesQuery = z.output<typeof listRelyingPartiesQuery>;

const TAG = 'relying parties';
const json = ['application/json'] as const;
const params = z.strictObject({ relyingPartyId: id });
const one = { description: 'The relying party.', contentTypes: json, schema: relyingParty, headers: ['etag'] } as const;
const PATH = '/v1/relying-parties/{relyingPartyId}';
const NOT_FOUND = 'relying-party-not-found';
const manage = { tag: TAG, permission: 'relying-parties:manage', query: nothing, consumes: json } as const;

export const registerRelyingParty = operation({
  ...manage, id: 'registerRelyingParty', method: 'post', path: '/v1/relying-parties', summary: 'Register a relying party: somebody who may ask for status',
  params: nothing, body: registerRelyingPartyBody, creates: true, responses: { 201: { ...one, headers: ['location', 'etag'] } }, errors: ['relying-party-name-taken', 'owner-suspended'],
});
export const listRelyingParties = operation({
  id: 'listRelyingParties', method: 'get', path: '/v1/relying-parties', tag: TAG, summary: 'List relying parties',
  permission: 'relying-parties:read', params: nothing, query: listRelyingPartiesQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of relying parties, oldest first.', contentTypes: json, schema: page(relyingParty) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
export const getRelyingParty = operation({
  id: 'getRelyingParty', method: 'get', path: PATH, tag: TAG, summary: 'Read a relying party',
  permission: 'relying-parties:read', params, query: nothing, body: nothing, consumes: [], creates: false, responses: { 200: one, 304: UNCHANGED }, errors: [NOT_FOUND],
});
export const changeRelyingParty = operation({
  ...manage, id: 'changeRelyingParty', method: 'patch', path: PATH, summary: 'Change a relying party; If-Match with the version makes it conditional',
  params, body: changeRelyingPartyBody, creates: false, ifMatch: true, responses: { 200: one }, errors: [NOT_FOUND, 'relying-party-changed', 'relying-party-name-taken', 'owner-suspended'],
});
export const disableRelyingParty = operation({
  ...manage, id: 'disableRelyingParty', method: 'post', path: `${PATH}/disable`, summary: 'Disable a relying party: all its credentials are refused at once',
  params, body: whyBody, creates: false, responses: { 200: one }, errors: [NOT_FOUND],
});
export const enableRelyingParty = operation({
  ...manage, id: 'enableRelyingParty', method: 'post', path: `${PATH}/enable`, summary: 'Enable a disabled relying party: its credentials work again',
  params, body: whyBody, creates: false, responses: { 200: one }, errors: [NOT_FOUND, 'owner-suspended'],
});
export const addRelyingPartyCertificate = operation({
  ...manage, id: 'addRelyingPartyCertificate', method: 'post', path: `${PATH}/certificates`, summary: 'Pin a client certificate that a relying party shows on the mutual TLS door',
  params, body: addCertificateBody, creates: true,
  responses: { 201: { description: 'The certificate as it is pinned.', contentTypes: json, schema: relyingPartyCertificate } },
  errors: [NOT_FOUND, 'relying-party-certificate-taken', 'relying-party-certificate-refused', 'relying-party-full'],
});
export const removeRelyingPartyCertificate = operation({
  ...manage, id: 'removeRelyingPartyCertificate', method: 'post', path: `${PATH}/certificates/{certificateId}/remove`, summary: 'Remove a pinned certificate: it is refused at once',
  params: z.strictObject({ relyingPartyId: id, certificateId: id }), body: nothing, creates: false, responses: { 200: one }, errors: [NOT_FOUND],
});
export const createRelyingPartyToken = operation({
  ...manage, id: 'createRelyingPartyToken', method: 'post', path: `${PATH}/tokens`, summary: 'Make an API token for a relying party',
  params, body: z.strictObject({ name: name.describe('What it is for.'), ttlSeconds: optional(seconds.describe('Its life; without it that of the configuration (`adminTokenTtlSeconds`).')) }), creates: true,
  responses: { 201: { description: 'The API token; its secret is shown this once.', contentTypes: json, schema: newAdminToken } },
  errors: [NOT_FOUND, 'ttl-not-granted', 'relying-party-full'],
});
export const listRelyingPartyTokens = operation({
  id: 'listRelyingPartyTokens', method: 'get', path: `${PATH}/tokens`, tag: TAG, summary: 'List the API tokens of a relying party',
  permission: 'relying-parties:read', params, query: z.strictObject({ ...paging }), body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of API tokens, oldest first.', contentTypes: json, schema: page(adminToken) } },
  errors: [NOT_FOUND, 'cursor-invalid', 'cursor-mismatch'],
});
export const revokeRelyingPartyToken = operation({
  ...manage, id: 'revokeRelyingPartyToken', method: 'post', path: `${PATH}/tokens/{tokenId}/revoke`, summary: 'Revoke an API token of a relying party for good',
  params: z.strictObject({ relyingPartyId: id, tokenId: id }), body: nothing, creates: false,
  responses: { 200: { description: 'The token now; the same answer when it was revoked already.', contentTypes: json, schema: adminToken } }, errors: [NOT_FOUND, 'admin-token-not-found'],
});
