import { buffer, type Db } from '../client.ts';
import type { Finding } from '../generated/client.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

/** Something a person should look at. */
export interface FindingView {
  id: string;
  kind: string;
  agentId: string | null;
  instanceId: string | null;
  serial: Buffer | null;
  detail: Record<string, unknown>;
  createdAt: Date;
  resolvedAt: Date | null;
}

export interface FindingFilters {
  kind?: string;
  agentId?: string;
  instanceId?: string;
  /** true: not resolved yet; false: resolved. */
  open?: boolean;
}

/** The row of Prisma as a finding. */
export const findingView = (row: Finding): FindingView => ({ ...row, serial: row.serial && buffer(row.serial), detail: row.detail as Record<string, unknown> });

/** One page of findings, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listFindingViews(db: Db, filters: FindingFilters, page: PageRequest): Promise<Page<FindingView>> {
  const query = { list: 'findings', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const { open, ...equal } = filters;
  const rows = await db.finding.findMany({
    where: {
      ...equal,
      ...(open !== undefined && { resolvedAt: open ? null : { not: null } }),
      ...(after && { id: { gt: after } }),
    },
    orderBy: { id: 'asc' },
    take: page.limit + 1,
  });
  return pageOf(query, rows.map(findingView), page.limit, (finding) => [finding.id]);
}
