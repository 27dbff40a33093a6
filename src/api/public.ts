import { z } from 'zod';
import { operation, UNCHANGED } from './operation.ts';
import { id, nothing } from './values.ts';

const cached = ['etag', 'cache-control'] as const;
const bytes = (description: string, ...contentTypes: string[]) => ({ 200: { description, contentTypes, headers: cached }, 304: UNCHANGED });
const open = { method: 'get', permission: 'public', params: nothing, query: nothing, body: nothing, consumes: [], creates: false, errors: [] } as const;

const issuer = z.strictObject({ issuerId: id });
export const getCompleteCrl = operation({
  ...open, id: 'getCompleteCrl', path: '/crl/{issuerId}/complete.crl', tag: 'status', summary: 'The complete CRL of an issuer (RFC 5280 §5)',
  params: issuer, responses: bytes('The CRL, DER.', 'application/pkix-crl'), errors: ['authority-not-found'],
});
export const getCrlShard = operation({
  ...open, id: 'getCrlShard', path: '/crl/{issuerId}/{shard}.crl', tag: 'status', summary: 'One shard of the CRL of an issuer',
  params: issuer.extend({ shard: z.string().regex(/^[0-9]{1,4}$/, 'must be a shard number').transform(Number).describe('Number of the shard, from 0.') }), responses: bytes('The CRL shard, DER.', 'application/pkix-crl'), errors: ['authority-not-found'],
});
export const listCrls = operation({
  ...open, id: 'listCrls', path: '/crl/lists.txt', tag: 'status', summary: 'Addresses of the complete CRLs of every root and issuer',
  responses: bytes('One URL a line.', 'text/plain'),
});
export const getIssuerCertificate = operation({
  ...open, id: 'getIssuerCertificate', path: '/issuers/{issuerId}.cer', tag: 'status', summary: 'The certificate of an issuer (RFC 5280 §4.2.2.1)',
  params: issuer, responses: bytes('The certificate, DER.', 'application/pkix-cert'), errors: ['authority-not-found'],
});
const ocspAnswer = { 200: { description: 'The OCSP response, DER.', contentTypes: ['application/ocsp-response'] } };
export const postOcsp = operation({
  ...open, id: 'postOcsp', method: 'post', path: '/ocsp', tag: 'status', summary: 'OCSP by POST (RFC 6960 appendix A)',
  consumes: ['application/ocsp-request'], responses: ocspAnswer, errors: ['body-too-large', 'unsupported-media-type'],
});
export const getOcsp = operation({
  ...open, id: 'getOcsp', path: '/ocsp/{request}', tag: 'status', summary: 'OCSP by GET (RFC 5019 §5): the request in base64',
  params: z.strictObject({ request: z.string().describe('The OCSP request, DER in base64.') }), responses: ocspAnswer,
});
export const getTrustBundlePem = operation({ ...open, id: 'getTrustBundlePem', path: '/trust-bundle.pem', tag: 'status', summary: 'The roots to trust, PEM', responses: bytes('The roots.', 'application/pem-certificate-chain') });
/** A SPIFFE bundle (SPIFFE Trust Domain and Bundle §4): a JWK set. */
const spiffeBundle = z
  .object({
    keys: z.array(z.looseObject({ use: z.literal('x509-svid'), kty: z.string(), x5c: z.array(z.string()) })),
    spiffe_sequence: z.int(),
    spiffe_refresh_hint: z.int().describe('Seconds after which to ask again.'),
  })
  .meta({ id: 'SpiffeBundle' });
export const getSpiffeBundle = operation({
  ...open, id: 'getSpiffeBundle', path: '/spiffe/bundle.json', tag: 'status', summary: 'The SPIFFE trust bundle',
  responses: { 200: { description: 'A JWK set (SPIFFE Trust Domain and Bundle §4).', contentTypes: ['application/json'], schema: spiffeBundle, headers: cached }, 304: UNCHANGED },
});

const health = z.object({ status: z.literal('ok') }).meta({ id: 'Health' });
export const getHealth = operation({ ...open, id: 'getHealth', path: '/healthz', tag: 'operations', summary: 'The process runs', responses: { 200: { description: 'It runs.', contentTypes: ['application/json'], schema: health } } });
/** What readiness says of each part; `warnings` are loud but do not make it unready. */
export const readiness = z.object({ status: z.enum(['ready', 'not-ready']), checks: z.record(z.string(), z.string()), warnings: z.array(z.string()) }).meta({ id: 'Readiness' });
export type Readiness = z.output<typeof readiness>;
export const getReadiness = operation({
  ...open, id: 'getReadiness', path: '/readyz', tag: 'operations', summary: 'The replica can serve',
  responses: { 200: { description: 'Ready.', contentTypes: ['application/json'], schema: readiness }, 503: { description: 'Not ready.', contentTypes: ['application/json'], schema: readiness } },
});
export const getMetrics = operation({ ...open, id: 'getMetrics', path: '/metrics', tag: 'operations', summary: 'Prometheus metrics', responses: { 200: { description: 'The exposition.', contentTypes: ['text/plain'] } } });
export const getErrorsDocument = operation({ ...open, id: 'getErrorsDocument', path: '/errors', tag: 'documents', summary: 'What each error code means', responses: bytes('The page that the `type` of a problem points to: HTML for browsers (`Accept: text/html`), else Markdown.', 'text/markdown', 'text/html') });

/** The document that describes all this; its own schema is that of OpenAPI. */
const openApiDocument = z.looseObject({ openapi: z.string(), info: z.looseObject({ title: z.string(), version: z.string() }), paths: z.record(z.string(), z.unknown()) }).meta({ id: 'OpenApiDocument' });
export const getOpenApi = operation({
  ...open, id: 'getOpenApi', path: '/openapi.json', tag: 'documents', summary: 'This interface as an OpenAPI 3.1 document',
  responses: { 200: { description: 'The document.', contentTypes: ['application/json'], schema: openApiDocument, headers: cached }, 304: UNCHANGED },
});
export const getDocsPage = operation({ ...open, id: 'getDocsPage', path: '/docs', tag: 'documents', summary: 'This interface as a page to read', responses: bytes('The page; it needs no script and nothing from elsewhere.', 'text/html') });
