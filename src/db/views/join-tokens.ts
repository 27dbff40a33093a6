import type { JOIN_TOKEN_STATES } from '../../api/join-tokens.ts';
import type { Db } from '../client.ts';
import { joinTokenRecord, type JoinTokenRecord } from '../join-tokens.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

/** A join token as it may be shown: nothing of its secret. `state` is what it is at the time asked for. */
export interface JoinTokenView extends Omit<JoinTokenRecord, 'secretHash'> {
  state: (typeof JOIN_TOKEN_STATES)[number];
}

/** One page of the join tokens of an agent, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listJoinTokenViews(db: Db, filters: { agentId: string }, page: PageRequest & { now: Date }): Promise<Page<JoinTokenView>> {
  const query = { list: 'join-tokens', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const rows = await db.joinToken.findMany({
    where: { agentId: filters.agentId, ...(after && { id: { gt: after } }) },
    orderBy: { id: 'asc' },
    take: page.limit + 1,
  });
  return pageOf(query, rows.map((row) => view(joinTokenRecord(row), page.now)), page.limit, (token) => [token.id]);
}

function view({ secretHash: _, ...token }: JoinTokenRecord, now: Date): JoinTokenView {
  return { ...token, state: token.usedAt ? 'used' : token.expiresAt <= now ? 'expired' : 'open' };
}
