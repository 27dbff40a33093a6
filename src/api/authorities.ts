import { z } from 'zod';
import { operation, UNCHANGED } from './operation.ts';
import { id, nothing, serialOut, time } from './values.ts';

export const authority = z
  .object({
    id,
    kind: z.enum(['root', 'cross', 'issuing', 'ocsp', 'tls', 'feed']),
    state: z.enum(['prepared', 'active', 'retiring', 'retired']).describe('`prepared`: published, does not sign yet. `retiring`: signs only lists and OCSP until its last certificate has ended.'),
    issuerId: id.nullable(),
    serial: z.string(),
    fingerprint: z.string(),
    subject: z.string(),
    algorithm: z.string(),
    shardCount: z.int(),
    notBefore: time,
    notAfter: time,
    createdAt: time,
    revokedAt: time.nullable(),
    certificate: z.string().describe('PEM.'),
  })
  .meta({ id: 'Authority', description: 'A certificate of the CA itself.' });
/** A certificate of the CA itself as the wire shows it. */
export type AuthorityAnswer = z.output<typeof authority>;

const authorities = { 200: { description: 'The authority certificates as they are now.', contentTypes: ['application/json'], schema: z.object({ items: z.array(authority) }).meta({ id: 'Authorities' }) } };

export const listAuthorities = operation({
  id: 'listAuthorities', method: 'get', path: '/v1/authorities', tag: 'authorities', summary: 'List roots, issuers, responders and TLS certificates',
  permission: 'authorities:read', params: nothing, query: nothing, body: nothing, consumes: [], creates: false, responses: authorities, errors: [],
});
export const rotateAuthority = operation({
  id: 'rotateAuthority', method: 'post', path: '/v1/authorities/rotate', tag: 'authorities', summary: 'Prepare the next issuer, or make the prepared one active',
  permission: 'authorities:manage', params: nothing, query: nothing, body: z.strictObject({ step: z.enum(['prepare', 'activate', 'auto']).default('auto').describe('The step: `prepare` makes the next issuer and publishes it, `activate` makes the prepared one issue, `auto` does whichever comes next.') }), consumes: ['application/json'], creates: false,
  responses: authorities, errors: ['authority-state-conflict'],
});
export const rolloverRoot = operation({
  id: 'rolloverRoot', method: 'post', path: '/v1/authorities/rollover-root', tag: 'authorities', summary: 'Make a new root, cross-signed by the old one',
  permission: 'authorities:manage', params: nothing, query: nothing, body: nothing, consumes: ['application/json'], creates: false,
  responses: authorities, errors: ['authority-state-conflict'],
});

/** The certificates to trust, roots only. */
export const trustBundle = z
  .object({
    trustDomain: z.string(),
    roots: z.array(z.object({ id, serial: z.union([serialOut, z.string()]), fingerprint: z.string(), notAfter: time, certificate: z.string() })),
    pem: z.string().describe('All roots, PEM.'),
  })
  .meta({ id: 'TrustBundle', description: 'The roots to trust.' });
export const getTrustBundle = operation({
  id: 'getTrustBundle', method: 'get', path: '/v1/trust-bundle', tag: 'authorities', summary: 'The roots to trust',
  permission: 'public', params: nothing, query: nothing, body: nothing, consumes: [], creates: false,
  responses: {
    200: { description: 'The trust bundle.', contentTypes: ['application/json', 'application/pem-certificate-chain'], schema: trustBundle, headers: ['etag', 'cache-control'] },
    304: UNCHANGED,
  },
  errors: [],
});
