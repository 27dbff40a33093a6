import { z } from 'zod';
import { operation } from './operation.ts';
import { id, nothing } from './values.ts';

const bytes = (description: string, ...contentTypes: string[]) => ({ 200: { description, contentTypes }, 304: { description: 'It is what If-None-Match names.', contentTypes: [] } });
const open = { method: 'get', permission: 'public', params: nothing, query: nothing, body: nothing, consumes: [], creates: false, errors: [] } as const;

const issuer = z.strictObject({ issuerId: id });
export const getCompleteCrl = operation({
  ...open, id: 'getCompleteCrl', path: '/crl/{issuerId}/complete.crl', tag: 'status', summary: 'The complete CRL of an issuer (RFC 5280 §5)',
  params: issuer, responses: bytes('The CRL, DER.', 'application/pkix-crl'), errors: ['authority-not-found'],
});
export const getCrlShard = operation({
  ...open, id: 'getCrlShard', path: '/crl/{issuerId}/{shard}.crl', tag: 'status', summary: 'One shard of the CRL of an issuer',
  params: issuer.extend({ shard: z.string().regex(/^[0-9]{1,4}$/, 'must be a shard number').transform(Number) }), responses: bytes('The CRL shard, DER.', 'application/pkix-crl'), errors: ['authority-not-found'],
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
  params: z.strictObject({ request: z.string() }), responses: ocspAnswer,
});
export const getTrustBundlePem = operation({ ...open, id: 'getTrustBundlePem', path: '/trust-bundle.pem', tag: 'status', summary: 'The roots to trust, PEM', responses: bytes('The roots.', 'application/pem-certificate-chain') });
export const getSpiffeBundle = operation({ ...open, id: 'getSpiffeBundle', path: '/spiffe/bundle.json', tag: 'status', summary: 'The SPIFFE trust bundle', responses: bytes('A JWK set (SPIFFE Trust Domain and Bundle §4).', 'application/json') });

const health = z.object({ status: z.literal('ok') });
export const getHealth = operation({ ...open, id: 'getHealth', path: '/healthz', tag: 'operations', summary: 'The process runs', responses: { 200: { description: 'It runs.', contentTypes: ['application/json'], schema: health } } });
/** What readiness says of each part; `warnings` are loud but do not make it unready. */
export const readiness = z.object({ status: z.enum(['ready', 'not-ready']), checks: z.record(z.string(), z.string()), warnings: z.array(z.string()) });
export type Readiness = z.output<typeof readiness>;
export const getReadiness = operation({
  ...open, id: 'getReadiness', path: '/readyz', tag: 'operations', summary: 'The replica can serve',
  responses: { 200: { description: 'Ready.', contentTypes: ['application/json'], schema: readiness }, 503: { description: 'Not ready.', contentTypes: ['application/json'], schema: readiness } },
});
export const getMetrics = operation({ ...open, id: 'getMetrics', path: '/metrics', tag: 'operations', summary: 'Prometheus metrics', responses: { 200: { description: 'The exposition.', contentTypes: ['text/plain'] } } });
export const getErrorsDocument = operation({ ...open, id: 'getErrorsDocument', path: '/errors', tag: 'operations', summary: 'What each error code means', responses: bytes('The page that the `type` of a problem points to.', 'text/markdown') });
