import type { ADMIN_TOKEN_STATES } from '../../api/admin-tokens.ts';
import type { TokenRole } from '../../api/permissions.ts';
import { adminTokenState, readScopes, type AdminTokenRecord } from '../admin-tokens.ts';
import { Prisma, type Db, type Tx } from '../client.ts';
import { allOf, when } from './conditions.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

/** An API token as it may be shown: nothing of its secret. `state` is what it is at the time asked for. */
export interface AdminTokenView extends Omit<AdminTokenRecord, 'secretHash'> {
  state: (typeof ADMIN_TOKEN_STATES)[number];
  /** To the minute. */
  lastUsedAt: Date | null;
}

/** Filters of the list of tokens; all that are given must hold. */
export interface AdminTokenFilters {
  state?: AdminTokenView['state'];
  role?: TokenRole;
  name?: string;
  relyingPartyId?: string;
  /** Neither used nor made since then. */
  unusedSince?: Date;
  /** Ends before then; one without an end never does. */
  expiresBefore?: Date;
}

type Row = Omit<AdminTokenView, 'role' | 'state' | 'scopes'> & { role: string; scopes: string | null };

const columns = Prisma.sql`
  t.id, t.name, t.role, t.scopes, t.created_at AS "createdAt", t.expires_at AS "expiresAt", t.revoked_at AS "revokedAt", t.last_used_at AS "lastUsedAt",
  t.predecessor_id AS "predecessorId", t.successor_id AS "successorId", t.relying_party_id AS "relyingPartyId"`;

export async function findAdminTokenView(db: Db | Tx, id: string, now: Date): Promise<AdminTokenView | undefined> {
  const [row] = await db.$queryRaw<Row[]>`SELECT ${columns} FROM admin_tokens t WHERE t.id = ${id}`;
  return row && view(row, now);
}

/** One page of the API tokens, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listAdminTokenViews(db: Db, filters: AdminTokenFilters, page: PageRequest & { now: Date }): Promise<Page<AdminTokenView>> {
  const query = { list: 'admin-tokens', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const rows = await db.$queryRaw<Row[]>`
    SELECT ${columns} FROM admin_tokens t WHERE ${allOf([when(after, (id) => Prisma.sql`t.id > ${id}`), ...conditions(filters, page.now)])} ORDER BY t.id LIMIT ${page.limit + 1}`;
  return pageOf(query, rows.map((row) => view(row, page.now)), page.limit, (token) => [token.id]);
}

function conditions(filters: AdminTokenFilters, now: Date): (Prisma.Sql | undefined)[] {
  return [
    when(filters.state, (state) => STATE[state](now)),
    when(filters.role, (role) => Prisma.sql`t.role = ${role}`),
    when(filters.name, (name) => Prisma.sql`t.name = ${name}`),
    when(filters.relyingPartyId, (id) => Prisma.sql`t.relying_party_id = ${id}`),
    when(filters.unusedSince, (at) => Prisma.sql`coalesce(t.last_used_at, t.created_at) < ${at}`),
    when(filters.expiresBefore, (at) => Prisma.sql`t.expires_at < ${at}`),
  ];
}

/** As `adminTokenState` has it. */
const STATE: Record<AdminTokenView['state'], (now: Date) => Prisma.Sql> = {
  revoked: () => Prisma.sql`t.revoked_at IS NOT NULL`,
  expired: (now) => Prisma.sql`(t.revoked_at IS NULL AND t.expires_at <= ${now})`,
  active: (now) => Prisma.sql`(t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ${now}))`,
};

const view = (row: Row, now: Date): AdminTokenView => ({ ...row, role: row.role as TokenRole, scopes: readScopes(row.scopes), state: adminTokenState(row, now) });
