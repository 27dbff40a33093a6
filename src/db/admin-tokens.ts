import type { TokenRole } from '../api/permissions.ts';
import { buffer, bytes, type Db, type Tx } from './client.ts';

/** An API token as it is stored: never its secret. */
export interface AdminTokenRecord {
  id: string;
  name: string;
  role: TokenRole;
  /** SHA-256 of the secret part. */
  secretHash: Buffer;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

export async function findAdminToken(db: Db | Tx, id: string): Promise<AdminTokenRecord | undefined> {
  const row = await db.adminToken.findUnique({ where: { id } });
  if (!row) return undefined;
  return { id: row.id, name: row.name, role: row.role as TokenRole, secretHash: buffer(row.secretHash), expiresAt: row.expiresAt, revokedAt: row.revokedAt };
}

export async function insertAdminToken(tx: Tx, token: Omit<AdminTokenRecord, 'revokedAt'>, now: Date): Promise<void> {
  await tx.adminToken.create({ data: { ...token, secretHash: bytes(token.secretHash), createdAt: now } });
}

/** What a token is at a time. Only an active one is usable. */
export function adminTokenState(token: Pick<AdminTokenRecord, 'expiresAt' | 'revokedAt'>, now: Date): 'active' | 'expired' | 'revoked' {
  if (token.revokedAt !== null) return 'revoked';
  return token.expiresAt !== null && token.expiresAt <= now ? 'expired' : 'active';
}

/** Whether the token is usable; if so it cannot be revoked before the commit. */
export async function lockUsableAdminToken(tx: Tx, id: string, now: Date): Promise<boolean> {
  const rows = await tx.$queryRaw<unknown[]>`SELECT 1 FROM admin_tokens WHERE id = ${id} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ${now}) FOR SHARE`;
  return rows.length === 1;
}

/** Ids of the usable tokens of role admin, locked to the commit in the order of their ids. */
export async function lockUsableAdmins(tx: Tx, now: Date): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM admin_tokens WHERE role = 'admin' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ${now}) ORDER BY id FOR UPDATE`;
  return rows.map(({ id }) => id);
}

/** Revokes a token that is not revoked; false, with nothing changed, for any other. */
export async function markAdminTokenRevoked(tx: Tx, id: string, now: Date): Promise<boolean> {
  const { count } = await tx.adminToken.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: now } });
  return count === 1;
}

/** Notes the use of a token; uses within the same minute leave the row alone, whatever replica saw them. */
export async function touchAdminToken(db: Db, id: string, now: Date): Promise<void> {
  const minuteAgo = new Date(now.getTime() - 60_000);
  await db.adminToken.updateMany({ where: { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: minuteAgo } }] }, data: { lastUsedAt: now } });
}

/** Whether there is any token at all, usable or not: when there is none, this is the first start. */
export async function hasAdminToken(db: Db): Promise<boolean> {
  return (await db.adminToken.findFirst({ select: { id: true } })) !== null;
}
