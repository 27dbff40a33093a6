import { createHash } from 'node:crypto';
import type { Random } from '../core/random.ts';
import { ulid } from '../core/random.ts';

const TOKEN = /^sga_([0-7][0-9A-HJKMNP-TV-Z]{25})_([A-Za-z0-9_-]{43})$/;

/** A new API token: `token` is shown once, `secretHash` is what is stored (DESIGN invariant 9). 256 random bits need no slow hash. */
export function makeAdminToken(now: Date, random: Random): { id: string; token: string; secretHash: Buffer } {
  const id = ulid(now, random);
  const secret = Buffer.from(random.bytes(32)).toString('base64url');
  return { id, token: `sga_${id}_${secret}`, secretHash: hashSecret(secret) };
}

/** Id and hashed secret of a well-formed token. */
export function parseAdminToken(token: string): { id: string; secretHash: Buffer } | undefined {
  const [, id, secret] = TOKEN.exec(token) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secretHash: hashSecret(secret) };
}

const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest();
