import { hash } from 'node:crypto';

/** A strong entity tag (RFC 9110 §8.8.3) for these octets: 162 bits of their SHA-256. In one call, which is 1.1 instead of 2 µs for an OCSP answer. */
export const entityTag = (octets: Uint8Array | string): string => `"${hash('sha256', octets, 'base64url').slice(0, 27)}"`;
