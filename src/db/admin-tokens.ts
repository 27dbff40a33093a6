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

/** Notes the use of a token; uses within the same minute leave the row alone, whatever replica saw them. */
export async function touchAdminToken(db: Db, id: string, now: Date): Promise<void> {
  const minuteAgo = new Date(now.getTime() - 60_000);
  await db.adminToken.updateMany({ where: { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: minuteAgo } }] }, data: { lastUsedAt: now } });
}

/** Whether there is any token at all, usable or not: when there is none, this is the first start. */
export async function hasAdminToken(db: Db): Promise<boolean> {
  return (await db.adminToken.findFirst({ select: { id: true } })) !== null;
}
