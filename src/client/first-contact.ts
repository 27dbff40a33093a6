import { createHash, X509Certificate } from 'node:crypto';

/** The status door gave a bundle without a root of the expected fingerprint. */
export class FingerprintMismatch extends Error {
  override readonly name = 'FingerprintMismatch';
}

const MAX_BUNDLE_CHARACTERS = 1_000_000;
const TIMEOUT_MS = 10_000;

/**
 * First contact by root fingerprint: the trust bundle is fetched without trust from the status door and believed only if it holds a root with
 * exactly this SHA-256. Returns that root alone, PEM. @throws FingerprintMismatch, and fetch's own errors
 */
export async function fetchTrustBundle(statusUrl: string, fingerprint: string): Promise<string> {
  const response = await fetch(new URL('/trust-bundle.pem', statusUrl), { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = await response.text();
  if (!response.ok || text.length > MAX_BUNDLE_CHARACTERS) throw new FingerprintMismatch(`the status door gave no trust bundle (${response.status})`);
  const wanted = fingerprint.replaceAll(':', '').toLowerCase();
  for (const [pem] of text.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)) {
    const hash = createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
    if (hash === wanted) return `${pem}\n`;
  }
  throw new FingerprintMismatch('no root in the trust bundle has the expected SHA-256 fingerprint: wrong server, or wrong fingerprint');
}
