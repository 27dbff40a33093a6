import type { Db } from '../client.ts';
import { findInstance, instanceRecord, type InstanceRecord, type InstanceState } from '../instances.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

export type InstanceView = InstanceRecord;
/** An instance, or undefined. */
export const findInstanceView: (db: Db, id: string) => Promise<InstanceView | undefined> = findInstance;

export interface InstanceFilters {
  agentId: string;
  state?: InstanceState;
}

/** One page of the instances of an agent, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listInstanceViews(db: Db, filters: InstanceFilters, page: PageRequest): Promise<Page<InstanceView>> {
  const query = { list: 'instances', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const rows = await db.instance.findMany({
    where: { agentId: filters.agentId, ...(filters.state && { state: filters.state }), ...(after && { id: { gt: after } }) },
    orderBy: { id: 'asc' },
    take: page.limit + 1,
  });
  return pageOf(query, rows.map(instanceRecord), page.limit, (instance) => [instance.id]);
}
