import { ISSUER_ID, ROOT_PEM, type OperationExample } from './example.ts';

const issuerId = { issuerId: ISSUER_ID };
/** An OCSP request for one certificate, DER in base64. */
const OCSP_REQUEST = 'MFUwUzBRME8wTTAJBgUrDgMCGgUABBQIdyimdPjWxNYIJAQsotspq1Kl5QQUE1cdBfCZC9o5op7st146LljdjccCFAEAUSoYkNyDQn0hj0nc1Ac5E5Ox';

export const PUBLIC_EXAMPLES = {
  getCompleteCrl: { description: 'Every certificate of this issuer that is revoked or on hold. Published again at once after a revocation, at most once a second.', params: issuerId, answers: { 200: {} } },
  getCrlShard: {
    description: 'Where lists are split (`crlShards`), the part that the certificates of this shard name. It carries a critical issuingDistributionPoint: relying parties that do not read it take the complete list.',
    params: { ...issuerId, shard: '0' },
    answers: { 200: {} },
  },
  listCrls: {
    description: 'For relying parties that must be given the list of every CA of a chain: the issuers that are only prepared are among them, so that their lists are there before their certificates. Not signed; the lists are.',
    answers: { 200: { 'text/plain': 'http://signet.example:8080/crl/01M7YV54JWRMBXNJXBBY5F0QNK/complete.crl\n' } },
  },
  getIssuerCertificate: { description: 'Where the caIssuers pointer of certificates leads: DER.', params: issuerId, answers: { 200: {} } },
  postOcsp: { description: 'Errors are told in the words of OCSP (RFC 6960 §4.2.1), with status 200. A nonce of 1 to 128 octets is repeated (RFC 9654).', answers: { 200: {} } },
  getOcsp: { description: 'For caches: the request in base64 after the slash, percent-encoded where needed. Errors are told in the words of OCSP, with status 200.', params: { request: OCSP_REQUEST }, answers: { 200: {} } },
  getTrustBundlePem: { description: 'Fetched over plain HTTP: compare its fingerprint with the one printed when Signet was started.', answers: { 200: { 'application/pem-certificate-chain': ROOT_PEM } } },
  getSpiffeBundle: {
    description: 'The roots as a JWK set, with a sequence number that goes up when they change.',
    answers: {
      200: {
        'application/json': {
          keys: [{ use: 'x509-svid', kty: 'EC', crv: 'P-256', x: 'KWIEzJzyZtjh1Gu3Ki4iWIDTuPyDxSOcl2FjKBUBHuo', y: 'qppDcFmZ52xWtby_b2l_R7bvbHkfVzUf68nBqZV4334', x5c: ['MIIBqzCCAVCgAwIBAgIUAQBfbLpx2Y56zxJvtoGELKj1SCsw…'] }],
          spiffe_sequence: 1,
          spiffe_refresh_hint: 300,
        },
      },
    },
  },
  getErrorsDocument: {
    description: 'Every code with its status, its meaning and what to do next; the `type` of a problem leads here.',
    answers: { 200: { 'text/markdown': '# Errors\n\n## invalid-request\n\n`400` · The request is not valid.\n', 'text/html': '<!doctype html><title>Errors</title>…' } },
  },
  getOpenApi: {
    description: 'Made from the same tables that serve requests. Entity tag and `cache-control` let tools keep it.',
    answers: { 200: { 'application/json': { openapi: '3.1.0', info: { title: 'Signet', version: '1.0.0' }, paths: {} } } },
  },
  getDocsPage: { description: 'The OpenAPI document for people.', answers: { 200: { 'text/html': '<!doctype html><title>Signet API</title>…' } } },
  getHealth: { description: 'Says nothing of what the process needs: for the question whether to restart it.', answers: { 200: { 'application/json': { status: 'ok' } } } },
  getReadiness: {
    description: 'For the question whether to send it requests. `warnings` are worth a look, but do not make it unready.',
    answers: {
      200: { 'application/json': { status: 'ready', checks: { process: 'ok', database: 'ok', keyStore: 'ok', issuer: 'ok' }, warnings: [] } },
      503: { 'application/json': { status: 'not-ready', checks: { process: 'shutting down', database: 'ok', keyStore: 'ok', issuer: 'ok' }, warnings: [] } },
    },
  },
  getMetrics: { description: 'The text exposition format.', answers: { 200: { 'text/plain': 'signet_http_requests_total{door="api",route="/v1/agents",method="GET",status="200"} 1\n' } } },
} as const satisfies Record<string, OperationExample>;
