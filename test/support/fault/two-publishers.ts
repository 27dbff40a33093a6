/** Two processes publish the same list: no number twice, and nothing that a list has said is unsaid by a later one (DESIGN invariant 6). */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { jsonOf } from '../https-client.ts';
import { runSql } from '../postgres.ts';
import { ok, startFleet, type Fleet, type Replica } from './fleet.ts';
import { crlOf, expectVerdicts, expectWhole, readList, REVOKED } from './judge.ts';
import { rowsOf } from './sessions.ts';

const LONG = 180_000;
/** Sixteen a replica. */
const AT_ONCE = 32;

let fleet: Fleet;
let one: Replica;
let other: Replica;
/** Every list that is ever stored, in the order of storing. */
const KEEP_EVERY_LIST = `
  CREATE TABLE every_list (k bigserial PRIMARY KEY, issuer_id text, number bigint, this_update timestamptz, der bytea);
  CREATE FUNCTION keep_list() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    INSERT INTO every_list (issuer_id, number, this_update, der)
      SELECT NEW.issuer_id, NEW.number, NEW.this_update, string_agg(octets, '' ORDER BY part) FROM crl_parts p WHERE p.issuer_id = NEW.issuer_id AND p.shard = NEW.shard AND p.number = NEW.number;
    RETURN NULL;
  END $$;
  CREATE TRIGGER keep_list AFTER UPDATE OF stored_at ON crls FOR EACH ROW EXECUTE FUNCTION keep_list()`;

/** Rows as an issuance leaves them, without one: only their status is of interest here. Returns their serials. */
async function makeUpCertificates(count: number): Promise<string[]> {
  const agentId = await fleet.register();
  const bucket = Math.floor((Date.now() + 3_600_000) / 86_400_000);
  const serials = Array.from({ length: count }, () => `01${bucket.toString(16).padStart(6, '0')}${randomBytes(16).toString('hex')}`);
  const rows = `unnest($1::text[]) AS s (serial), (SELECT id FROM authority_certificates WHERE kind = 'issuing' AND state = 'active') AS i (id)`;
  await rowsOf(
    fleet.database,
    `WITH keys AS (INSERT INTO public_keys (key_hash, agent_id, instance_id, first_seen_at, not_after) SELECT sha256(decode(s.serial, 'hex')), $2, 'made-up', now(), now() + interval '1 hour' FROM ${rows})
     INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at)
     SELECT $3, decode(s.serial, 'hex'), i.id, $2, 'made-up', 'agent', 0, 1, sha256(decode(s.serial, 'hex')), sha256(decode(s.serial, 'hex')), '', now(), to_timestamp(($3 + 1) * 86400) - interval '1 second', now() FROM ${rows}`,
    [serials, agentId, bucket],
  );
  return serials;
}

const revoke = async (at: Replica, serial: string): Promise<string> =>
  jsonOf<{ status: string }>(ok(await at.api.send('POST', `/v1/certificates/${serial}/revoke`, { json: { reason: 'keyCompromise' } }))).status;

/** What a relying party sees that fetches from both replicas all the time: by replica the numbers, by number the entries. */
function watchLists() {
  const numbers = new Map<Replica, bigint[]>(fleet.replicas.map((replica) => [replica, []]));
  let watching = true;
  const done = (async () => {
    while (watching) {
      for (const replica of fleet.replicas) numbers.get(replica)?.push((await crlOf(fleet, replica)).number);
      await sleep(20);
    }
  })();
  return {
    async end() {
      watching = false;
      await done;
      return [...numbers.values()];
    },
  };
}

async function untilListed(serials: readonly string[]): Promise<void> {
  for (const replica of fleet.replicas) {
    for (const deadline = performance.now() + 20_000; performance.now() < deadline; await sleep(50)) {
      const list = await crlOf(fleet, replica);
      if (serials.every((serial) => list.serials.has(serial))) break;
    }
  }
}

/** Registers the test: so many revocations at once through two processes that publish. */
export function provesTwoPublishers(name: string, revocations: number): void {
  beforeAll(async () => {
    fleet = await startFleet();
    [one, other] = fleet.replicas;
    await runSql(fleet.database.ownerUrl, KEEP_EVERY_LIST);
  }, LONG);
  afterAll(() => fleet.close(), LONG);

  test(name, async () => {
    const [first = '', ...rest] = await makeUpCertificates(revocations);
    // One publisher stands with its list built and its number taken; the other wants to publish what that list lacks.
    one.barriers.arm('crl:before-commit');
    await other.freeze();
    expect(await revoke(one, first)).toBe('revoked');
    await one.barriers.reached('crl:before-commit');
    other.thaw();
    const watcher = watchLists();

    const left = [...rest];
    const acknowledged: string[] = [];
    const worker = async (n: number) => {
      for (let serial = left.pop(); serial !== undefined; serial = left.pop()) {
        expect(await revoke(n % 2 ? one : other, serial)).toBe('revoked');
        acknowledged.push(serial);
        if (acknowledged.length === revocations / 2) one.barriers.release('crl:before-commit');
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => worker(n)));
    expect(acknowledged).toHaveLength(revocations - 1);
    await untilListed([first, ...rest]);
    const seen = await watcher.end();

    const lists = await rowsOf<{ number: string; this_update: Date; der: Buffer }>(
      fleet.database, 'SELECT number, this_update, der FROM every_list WHERE issuer_id = $1 ORDER BY k', [fleet.issuerId]);
    expect(lists.length).toBeGreaterThan(2);
    const numbers = lists.map(({ number }) => Number(number));
    expect(numbers).toEqual(numbers.map((_, k) => (numbers[0] ?? 0) + k));

    let earlier = new Set<string>();
    let earlierUpdate = new Date(0);
    for (const { number, this_update: thisUpdate, der } of lists) {
      const list = readList(der);
      expect(String(list.number)).toBe(number);
      expect([...earlier].filter((serial) => !list.serials.has(serial))).toEqual([]);
      expect(thisUpdate.getTime()).toBeGreaterThanOrEqual(earlierUpdate.getTime());
      earlier = list.serials;
      earlierUpdate = thisUpdate;
    }
    expect([first, ...rest].filter((serial) => !earlier.has(serial))).toEqual([]);

    for (const served of seen) expect(served).toEqual(served.toSorted((a, b) => (a < b ? -1 : 1)));
    await expectVerdicts(fleet, Object.fromEntries([first, ...rest.slice(0, 15)].map((serial) => [serial, REVOKED])));
    await expectWhole(fleet, { madeUp: true });
  }, LONG);
}
