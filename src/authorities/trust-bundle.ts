import { createPublicKey } from 'node:crypto';
import type { AuthoritySnapshot } from './authorities.ts';

/** How often relying parties should look again. A new root is published long before it is needed, so this bounds how fast one can be withdrawn. */
const REFRESH_HINT_SECONDS = 300;

/** One key of a SPIFFE bundle (SPIFFE Trust Domain and Bundle §4.2, X509-SVID §6.1): the public key with the certificate that carries it. */
export interface BundleKey {
  use: 'x509-svid';
  kty: string;
  crv?: string;
  x?: string;
  y?: string;
  n?: string;
  e?: string;
  /** Exactly one certificate, base64 of its DER (RFC 7517 §4.7). */
  x5c: [string];
}

/** A SPIFFE bundle (SPIFFE Trust Domain and Bundle §4): a JWK set. */
export interface SpiffeBundle {
  keys: BundleKey[];
  spiffe_sequence: number;
  spiffe_refresh_hint: number;
}

/** All living roots, PEM (RFC 7468), oldest first. */
export const trustBundlePem = (snapshot: Pick<AuthoritySnapshot, 'roots'>): string => snapshot.roots.map((root) => root.pem).join('');

/** The same roots as a SPIFFE bundle. Intermediates are sent with the leaf and do not belong here. */
export function spiffeBundle(snapshot: Pick<AuthoritySnapshot, 'roots' | 'bundleSequence'>): SpiffeBundle {
  return {
    keys: snapshot.roots.map((root) => {
      const { kty, crv, x, y, n, e } = createPublicKey({ key: root.certificate.spki, format: 'der', type: 'spki' }).export({ format: 'jwk' });
      const members = Object.entries({ crv, x, y, n, e }).filter(([, value]) => value !== undefined);
      return { use: 'x509-svid', kty: String(kty), ...Object.fromEntries(members), x5c: [root.der.toString('base64')] };
    }),
    spiffe_sequence: snapshot.bundleSequence,
    spiffe_refresh_hint: REFRESH_HINT_SECONDS,
  };
}
