import type { Db } from '../client.ts';
import { abandonedKills, countUnfinishedKills, findKill, killRecord, type KillRecord, type KillState } from '../kills.ts';
import { ownerEmails } from '../owners.ts';
import { listStops, type IssuanceStop } from '../stops.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

/** A kill with the address of the owner it is about. */
export interface KillView extends KillRecord {
  ownerEmail: string | undefined;
}

export type { KillRecord };

/** Every stop in force, oldest first. */
export const stopsInForce: (db: Db) => Promise<IssuanceStop[]> = listStops;

/** How many kills and resumes are not done, and those that nobody has touched for a while. */
export const unfinishedKills: (db: Db) => Promise<number> = countUnfinishedKills;
export const idleKills: (db: Db, idleSeconds: number) => Promise<{ id: string }[]> = abandonedKills;

export async function findKillView(db: Db, id: string): Promise<KillView | undefined> {
  const kill = await findKill(db, id);
  return kill && (await killViews(db, [kill]))[0];
}

/** One page of kills, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listKillViews(db: Db, filters: { state?: KillState }, page: PageRequest): Promise<Page<KillView>> {
  const query = { list: 'kills', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const rows = await db.kill.findMany({ where: { ...filters, ...(after && { id: { gt: after } }) }, orderBy: { id: 'asc' }, take: page.limit + 1 });
  const { items, nextCursor } = pageOf(query, rows.map(killRecord), page.limit, ({ id }) => [id]);
  return { items: await killViews(db, items), nextCursor };
}

export async function killViews(db: Db, kills: readonly KillRecord[]): Promise<KillView[]> {
  const emails = await ownerEmails(db, kills.flatMap(({ selector, target }) => (selector === 'owner' ? [target] : [])));
  return kills.map((kill) => ({ ...kill, ownerEmail: emails.get(kill.target) }));
}
