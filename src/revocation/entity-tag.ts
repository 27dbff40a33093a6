import { createHash } from 'node:crypto';

/** A strong entity tag (RFC 9110 §8.8.3) for these octets: 162 bits of their SHA-256. */
export const entityTag = (octets: Uint8Array | string): string => `"${createHash('sha256').update(octets).digest('base64url').slice(0, 27)}"`;
