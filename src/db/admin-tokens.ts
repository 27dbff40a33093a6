import type { Permission, RelyingPartyGrant, TokenRole } from '../api/permissions.ts';
import { buffer, bytes, Prisma, type Db, type Tx } from './client.ts';

/** An API token as it is stored: never its secret. */
export interface AdminTokenRecord {
  id: string;
  name: string;
  role: TokenRole;
  /** What it is narrowed to; null: all of its role. */
  scopes: Permission[] | null;
  /** SHA-256 of the secret part. */
  secretHash: Buffer;
  createdAt: Date;
  /** Null only of tokens made by versions that knew no end. */
  expiresAt: Date | null;
  revokedAt: Date | null;
  predecessorId: string | null;
  successorId: string | null;
  relyingPartyId: string | null;
}

/** The relying party a token belongs to. */
export interface TokenHolder {
  id: string;
  state: 'active' | 'disabled';
  mayAsk: RelyingPartyGrant[];
}

/** A token with the relying party it belongs to, if any. */
export interface PresentedToken extends AdminTokenRecord {
  relyingParty: TokenHolder | null;
}

type Row = Omit<AdminTokenRecord, 'secretHash' | 'scopes' | 'role'> & { role: string; secretHash: Uint8Array; scopes: string | null };

/** The columns of an AdminTokenRecord, from `admin_tokens t`. */
const columns = Prisma.sql`
  t.id, t.name, t.role, t.scopes, t.secret_hash AS "secretHash", t.created_at AS "createdAt", t.expires_at AS "expiresAt", t.revoked_at AS "revokedAt",
  t.predecessor_id AS "predecessorId", t.successor_id AS "successorId", t.relying_party_id AS "relyingPartyId"`;

const record = (row: Row): AdminTokenRecord => ({ ...row, role: row.role as TokenRole, secretHash: buffer(row.secretHash), scopes: readScopes(row.scopes) });

/** Scopes as they are stored: names separated by blanks (RFC 6749 §3.3). */
export const readScopes = (scopes: string | null): Permission[] | null => (scopes === null ? null : (scopes.split(' ') as Permission[]));

/** The token with this id. The same statement, rows and columns whether there is one or not: how long it takes does not tell. */
export async function findPresentedToken(db: Db, id: string): Promise<PresentedToken | undefined> {
  const [row] = await db.$queryRaw<(Omit<Row, 'id'> & { id: string | null; holder: string | null; holderState: string | null; mayAsk: string[] | null })[]>`
    SELECT ${columns}, p.id AS holder, p.state AS "holderState", p.may_ask AS "mayAsk"
    FROM (VALUES (${id}::text)) AS asked (id) LEFT JOIN admin_tokens t ON t.id = asked.id LEFT JOIN relying_parties p ON p.id = t.relying_party_id`;
  if (row?.id == null) return undefined;
  const { holder, holderState, mayAsk, ...token } = row;
  const relyingParty = holder === null ? null : { id: holder, state: holderState as TokenHolder['state'], mayAsk: (mayAsk ?? []) as RelyingPartyGrant[] };
  return { ...record(token as Row), relyingParty };
}

/** A token to store: not revoked, not rotated. */
export interface NewAdminToken extends Pick<AdminTokenRecord, 'id' | 'name' | 'role' | 'secretHash' | 'expiresAt'>, Partial<Pick<AdminTokenRecord, 'scopes' | 'predecessorId' | 'relyingPartyId'>> {}

export async function insertAdminToken(tx: Tx, token: NewAdminToken, now: Date): Promise<void> {
  const { scopes = null, secretHash, ...rest } = token;
  await tx.adminToken.create({ data: { ...rest, scopes: scopes === null ? null : scopes.join(' '), secretHash: bytes(secretHash), createdAt: now } });
}

/** What a token is at a time. Only an active one is usable. */
export function adminTokenState(token: Pick<AdminTokenRecord, 'expiresAt' | 'revokedAt'>, now: Date): 'active' | 'expired' | 'revoked' {
  if (token.revokedAt !== null) return 'revoked';
  return token.expiresAt !== null && token.expiresAt <= now ? 'expired' : 'active';
}

const usable = (now: Date) => Prisma.sql`(t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ${now}))`;
/** Can make any other token, and will not end because it was rotated. */
const unlimitedAdmin = Prisma.sql`(t.role = 'admin' AND t.scopes IS NULL AND t.successor_id IS NULL)`;

/** The token, if it is usable; then it cannot be revoked or rotated before the commit. */
export async function lockUsableAdminToken(tx: Tx, id: string, now: Date): Promise<AdminTokenRecord | undefined> {
  const [row] = await tx.$queryRaw<Row[]>`SELECT ${columns} FROM admin_tokens t WHERE t.id = ${id} AND ${usable(now)} FOR SHARE`;
  return row && record(row);
}

/** Tokens with these ids in any state, locked for a change in the order of their ids. */
export async function lockAdminTokens(tx: Tx, ids: readonly string[]): Promise<AdminTokenRecord[]> {
  const rows = await tx.$queryRaw<Row[]>`SELECT ${columns} FROM admin_tokens t WHERE t.id IN (${Prisma.join([...ids])}) ORDER BY t.id FOR UPDATE`;
  return rows.map(record);
}

/**
 * The usable tokens that can make any other (role admin, no scopes, not rotated) and those with these ids in whatever state, locked to the commit in the
 * order of their ids: two that revoke cannot each take the other for the one that remains.
 */
export async function lockForRevocation(tx: Tx, ids: readonly string[], now: Date): Promise<{ unlimited: string[]; locked: AdminTokenRecord[] }> {
  const rows = await tx.$queryRaw<(Row & { unlimited: boolean })[]>`
    SELECT ${columns}, ${usable(now)} AND ${unlimitedAdmin} AS unlimited FROM admin_tokens t
    WHERE (${usable(now)} AND ${unlimitedAdmin}) OR t.id IN (${Prisma.join([...ids])}) ORDER BY t.id FOR UPDATE`;
  return { unlimited: rows.filter((row) => row.unlimited).map(({ id }) => id), locked: rows.map(({ unlimited: _, ...row }) => record(row)) };
}

/** Ids of every usable token of role admin, narrowed and rotated ones too, locked to the commit in the order of their ids. */
export async function lockUsableAdmins(tx: Tx, now: Date): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`SELECT t.id FROM admin_tokens t WHERE t.role = 'admin' AND ${usable(now)} ORDER BY t.id FOR UPDATE`;
  return rows.map(({ id }) => id);
}

/** Ids of what a token was rotated to, and that in turn. */
export async function successorsOf(tx: Tx, id: string): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    WITH RECURSIVE chain (id) AS (SELECT successor_id FROM admin_tokens WHERE id = ${id} UNION SELECT t.successor_id FROM admin_tokens t JOIN chain ON t.id = chain.id)
    SELECT id FROM chain WHERE id IS NOT NULL`;
  return rows.map((row) => row.id);
}

/** When the last token that can make any other ends; null when one never does, undefined when there is none. */
export async function endOfUnlimitedAdmins(db: Db, now: Date): Promise<Date | null | undefined> {
  const [row] = await db.$queryRaw<{ tokens: number; endless: boolean | null; end: Date | null }[]>`
    SELECT count(*)::int AS tokens, bool_or(t.expires_at IS NULL) AS endless, max(t.expires_at) AS "end" FROM admin_tokens t WHERE ${usable(now)} AND ${unlimitedAdmin}`;
  if (!row || row.tokens === 0) return undefined;
  return row.endless === true ? null : row.end;
}

/** Usable tokens that never end: those of versions that knew no end. How many, and the names of the first of them. */
export async function endlessTokens(db: Db, named: number): Promise<{ count: number; names: string[] }> {
  const where = { revokedAt: null, expiresAt: null };
  const tokens = await db.adminToken.findMany({ where, select: { name: true }, orderBy: { id: 'asc' }, take: named });
  return { count: tokens.length < named ? tokens.length : await db.adminToken.count({ where }), names: tokens.map(({ name }) => name) };
}

/** Revokes a token that is not revoked; false, with nothing changed, for any other. */
export async function markAdminTokenRevoked(tx: Tx, id: string, now: Date): Promise<boolean> {
  const { count } = await tx.adminToken.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: now } });
  return count === 1;
}

/** Gives a token its successor and its earlier end; false, with nothing changed, for one that has a successor, has expired or was revoked. */
export async function markAdminTokenRotated(tx: Tx, id: string, successorId: string, endsAt: Date, now: Date): Promise<boolean> {
  const changed = await tx.$executeRaw`
    UPDATE admin_tokens t SET successor_id = ${successorId}, expires_at = least(t.expires_at, ${endsAt}) WHERE t.id = ${id} AND t.successor_id IS NULL AND ${usable(now)}`;
  return changed === 1;
}

/** Usable tokens of a relying party. A rotated one counts until it ends. */
export async function countRelyingPartyTokens(tx: Tx, relyingPartyId: string, now: Date): Promise<number> {
  return tx.adminToken.count({ where: { relyingPartyId, revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] } });
}

/** Of those, the ones that were rotated and have not ended yet. */
export async function countRotatedTokens(tx: Tx, relyingPartyId: string, now: Date): Promise<number> {
  return tx.adminToken.count({ where: { relyingPartyId, revokedAt: null, expiresAt: { gt: now }, successorId: { not: null } } });
}

/** Whose token it is; null for one of no relying party, undefined where there is no such token. That never changes. */
export async function relyingPartyOfToken(tx: Tx, id: string): Promise<string | null | undefined> {
  return (await tx.adminToken.findUnique({ where: { id }, select: { relyingPartyId: true } }))?.relyingPartyId;
}

/** Notes the minute in which a token was used; uses within the same minute leave the row alone, whatever replica saw them. */
export async function touchAdminToken(db: Db, id: string, now: Date): Promise<void> {
  const minute = new Date(Math.floor(now.getTime() / 60_000) * 60_000);
  await db.adminToken.updateMany({ where: { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: minute } }] }, data: { lastUsedAt: minute } });
}

/** Whether there is any token at all, usable or not: when there is none, this is the first start. */
export async function hasAdminToken(db: Db): Promise<boolean> {
  return (await db.adminToken.findFirst({ select: { id: true } })) !== null;
}
