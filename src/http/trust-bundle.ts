import { createHash } from 'node:crypto';
import type * as authorityApi from '../api/authorities.ts';
import type * as publicApi from '../api/public.ts';
import { spiffeBundle, trustBundlePem } from '../authorities/trust-bundle.ts';
import { SignetError } from '../core/errors.ts';
import { iso, publicBytes } from './answers.ts';
import type { Answer, HandlerOf } from './handler.ts';

/** How long a cache may keep roots and issuers: a new one is published long before it is used. */
const BUNDLE_MAX_AGE_SECONDS = 300;
const PEM_CERTIFICATES = 'application/pem-certificate-chain';

const text = (content: string, contentType: string): Answer => publicBytes(Buffer.from(content), contentType, BUNDLE_MAX_AGE_SECONDS);

/** GET /v1/trust-bundle */
export const getTrustBundle: HandlerOf<typeof authorityApi.getTrustBundle> = (ctx, { accept }) => {
  const snapshot = ctx.authorities.snapshot();
  const pem = trustBundlePem(snapshot);
  if (accept?.includes(PEM_CERTIFICATES)) return text(pem, PEM_CERTIFICATES);
  const roots = snapshot.roots.map((root) => ({
    id: root.id,
    serial: root.certificate.serial.toString('hex'),
    fingerprint: createHash('sha256').update(root.der).digest('hex'),
    notAfter: iso(root.notAfter),
    certificate: root.pem,
  }));
  return text(JSON.stringify({ trustDomain: ctx.config.trustDomain, roots, pem }), 'application/json');
};

/** GET /trust-bundle.pem */
export const getTrustBundlePem: HandlerOf<typeof publicApi.getTrustBundlePem> = (ctx) => text(trustBundlePem(ctx.authorities.snapshot()), PEM_CERTIFICATES);

/** GET /spiffe/bundle.json */
export const getSpiffeBundle: HandlerOf<typeof publicApi.getSpiffeBundle> = (ctx) => text(JSON.stringify(spiffeBundle(ctx.authorities.snapshot())), 'application/json');

/** GET /issuers/{issuerId}.cer: DER, as caIssuers of RFC 5280 §4.2.2.1 wants it. */
export const getIssuerCertificate: HandlerOf<typeof publicApi.getIssuerCertificate> = (ctx, { params }) => {
  const snapshot = ctx.authorities.snapshot();
  const issuer = snapshot.issuerById(params.issuerId) ?? snapshot.rootById(params.issuerId);
  if (!issuer) throw new SignetError('authority-not-found', 'there is no issuer with this id');
  return publicBytes(issuer.der, 'application/pkix-cert', BUNDLE_MAX_AGE_SECONDS);
};
