/** Who follows the cursor of the audit log misses nothing, whoever writes meanwhile (DESIGN invariant 8). */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { jsonOf } from '../support/https-client.ts';
import { runSql } from '../support/postgres.ts';
import { ok, startFleet, type Fleet } from '../support/fault/fleet.ts';
import { rowsOf } from '../support/fault/sessions.ts';

const LONG = 90_000;
const WRITERS = 16;
const EVENTS_EACH = 15;
/** Before a reader at the end of the log asks again. */
const IDLE_MS = 3;

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet();
  await runSql(fleet.database.ownerUrl, SLOW_COMMITS);
}, LONG);
afterAll(() => fleet.close(), LONG);

/** Some writers dawdle between taking their number and committing it: where a reader could pass them. */
const SLOW_COMMITS = `
  CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;
  CREATE TRIGGER dawdle AFTER INSERT ON audit_events FOR EACH ROW WHEN (NEW.n % 5 = 0) EXECUTE FUNCTION dawdle()`;

interface Page {
  items: { n: string; kind: string }[];
  nextCursor: string;
}

/** Follows the cursor from the beginning, page by page and now at one replica, now at the other, until `isOver` and nothing more comes. */
async function follow(query: string, isOver: () => boolean): Promise<number[]> {
  const seen: number[] = [];
  let cursor: string | undefined;
  for (let k = 0; ; k++) {
    const over = isOver();
    const replica = fleet.replicas[k % 2] ?? fleet.replicas[0];
    const page = jsonOf<Page>(ok(await replica.api.send('GET', `/v1/audit?${query}${cursor === undefined ? '' : `&cursor=${cursor}`}`)));
    seen.push(...page.items.map(({ n }) => Number(n)));
    cursor = page.nextCursor;
    if (page.items.length > 0) continue;
    if (over) return seen;
    await sleep(IDLE_MS);
  }
}

test('a reader that follows the cursor under 16 writers misses no event, with a filter and without', async () => {
  let writing = WRITERS;
  const isOver = () => writing === 0;
  const readers = [follow('limit=200', isOver), follow('limit=7', isOver), follow('limit=3&kind=agent.registered', isOver)];
  const writers = Array.from({ length: WRITERS }, async (_, n) => {
    const { api } = fleet.replicas[n % 2] ?? fleet.replicas[0];
    for (let k = 0; k < EVENTS_EACH; k++) {
      ok(await api.send('POST', '/v1/agents', { json: { name: `writer-${n}-${k}`, purpose: 'writing', ownerEmail: 'owner@example.com' } }));
    }
    writing--;
  });
  await Promise.all(writers);
  const [wide, narrow, filtered] = await Promise.all(readers);

  const stored = await rowsOf<{ n: string; kind: string }>(fleet.database, 'SELECT n, kind FROM audit_events ORDER BY n');
  const all = stored.map(({ n }) => Number(n));
  const registered = stored.filter(({ kind }) => kind === 'agent.registered').map(({ n }) => Number(n));
  expect(registered).toHaveLength(WRITERS * EVENTS_EACH);
  const missed = (seen: number[] = [], of: number[]) => of.filter((n) => !seen.includes(n));
  expect({ wide: missed(wide, all), narrow: missed(narrow, all), filtered: missed(filtered, registered) }).toEqual({ wide: [], narrow: [], filtered: [] });
  expect([wide, narrow, filtered]).toEqual([all, all, registered]);
  expect(all).toEqual(all.map((_, k) => k + 1));
}, LONG);
