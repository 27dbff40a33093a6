import type { ADMIN_TOKEN_STATES } from '../../api/admin-tokens.ts';
import type { TokenRole } from '../../api/permissions.ts';
import { adminTokenState } from '../admin-tokens.ts';
import type { Db, Tx } from '../client.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

/** An API token as it may be shown: nothing of its secret. `state` is what it is at the time asked for. */
export interface AdminTokenView {
  id: string;
  name: string;
  role: TokenRole;
  state: (typeof ADMIN_TOKEN_STATES)[number];
  createdAt: Date;
  expiresAt: Date | null;
  revokedAt: Date | null;
  /** To about a minute. */
  lastUsedAt: Date | null;
}

const omit = { secretHash: true } as const;

export async function findAdminTokenView(db: Db | Tx, id: string, now: Date): Promise<AdminTokenView | undefined> {
  const row = await db.adminToken.findUnique({ where: { id }, omit });
  return row ? view(row, now) : undefined;
}

/** One page of the API tokens, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listAdminTokenViews(db: Db, page: PageRequest & { now: Date }): Promise<Page<AdminTokenView>> {
  const query = { list: 'admin-tokens', filters: {}, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const rows = await db.adminToken.findMany({ ...(after && { where: { id: { gt: after } } }), omit, orderBy: { id: 'asc' }, take: page.limit + 1 });
  return pageOf(query, rows.map((row) => view(row, page.now)), page.limit, (token) => [token.id]);
}

const view = (row: Omit<AdminTokenView, 'role' | 'state'> & { role: string }, now: Date): AdminTokenView => ({ ...row, role: row.role as TokenRole, state: adminTokenState(row, now) });
