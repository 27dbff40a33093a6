import type { Origin } from '../../audit/events.ts';
import { SignetError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { COMPLETE, staleCrls, type CrlName, type ListBuild } from '../../db/crls.ts';
import type { RevocationSignals } from '../signals.ts';
import type { CrlStore } from './crl-store.ts';
import { listIntervalMs } from './list-interval.ts';
import { createPacedRunner } from './paced-runner.ts';
import { createPrecedence } from './precedence.ts';
import { publishStale, type Publication, type PublishNeeds } from './publish-crl.ts';

/** Publishes lists in the background; nobody's answer waits for one. Signalled changes start it. */
export interface CrlPublisher {
  /** Publishes from now on, at first whatever is stale. Before that nothing is: one process of a replica publishes, and hears of what the others change. */
  start(): Promise<void>;
  /** Kicks every list that lacks a committed change or was never published: what a killed process left behind, what a new issuer lacks. */
  kickStale(): Promise<void>;
  /** Resolves when nothing is being published and nothing waits. */
  idle(): Promise<void>;
  /** Publishes what waits without further delay or retry, then stops. */
  close(): Promise<void>;
}

export interface PublisherNeeds extends PublishNeeds {
  signals: RevocationSignals;
  crls: CrlStore;
  log: Logger;
}

const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Tries for an issuer that is not known here: new ones appear within seconds, retired ones never. */
const MAX_NOT_FOUND = 5;
/** Each publication holds a database connection; revocation and issuance need the others. */
const MAX_PARALLEL = 2;

const ORIGIN: Origin = { actor: { kind: 'system', id: 'crl-publisher' }, requestId: null, source: null };

export function createCrlPublisher(needs: PublisherNeeds): CrlPublisher {
  const { db, authorities, signals, crls, clock, log } = needs;
  const names = new Map<string, CrlName>();
  const failures = new Map<string, number>();
  const precedence = createPrecedence(clock);
  let publishing = false;
  let closing = false;

  const shardCount = (issuerId: string): number => authorities.snapshot().issuerById(issuerId)?.shardCount ?? 1;
  const intervalOf = ({ issuerId, shard }: CrlName, last: ListBuild): number => (closing ? 0 : listIntervalMs({ shard, shardCount: shardCount(issuerId) }, last));

  /** Shards are what relying parties are pointed to, and a complete list takes seconds of both processors: it stands aside for them, here and, as nobody reads what it asked for, in the database. */
  const inTurn = (name: CrlName, work: (ctx: PublishNeeds) => Promise<Publication>): Promise<Publication> =>
    name.shard === COMPLETE && shardCount(name.issuerId) > 1 ? work({ ...needs, giveWay: precedence.behind() }) : precedence.first(() => work(needs));

  async function run(key: string): Promise<{ notBefore: number; again: boolean }> {
    const name = names.get(key) as CrlName;
    const began = clock.monotonicMs();
    try {
      let { list, waitMs } = await inTurn(name, (ctx) => publishStale(ctx, ORIGIN, name, (last) => intervalOf(name, last)));
      // Told to stop in between: what waits goes out now, or not from here.
      if (waitMs > 0 && closing) ({ list, waitMs } = await publishStale(needs, ORIGIN, name, () => 0));
      failures.delete(key);
      if (!list) return { notBefore: clock.monotonicMs() + waitMs, again: waitMs > 0 };
      await crls.put(name, list);
      return { notBefore: began + intervalOf(name, list), again: false };
    } catch (error) {
      const failed = (failures.get(key) ?? 0) + 1;
      failures.set(key, failed);
      log.warn({ err: error, issuer: name.issuerId, shard: name.shard, failed }, 'a CRL could not be published');
      return { notBefore: began + Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (failed - 1)), again: !(failed >= MAX_NOT_FOUND && error instanceof SignetError && error.code === 'authority-not-found') };
    }
  }

  const runner = createPacedRunner({ clock, maxParallel: MAX_PARALLEL, run });

  function kick(name: CrlName): void {
    if (!publishing) return;
    const key = `${name.issuerId}/${name.shard}`;
    names.set(key, name);
    runner.want(key);
  }

  signals.subscribe((changed) => {
    for (const { issuerId, shard } of changed) {
      if (shardCount(issuerId) > 1) kick({ issuerId, shard });
      kick({ issuerId, shard: COMPLETE });
    }
  });

  async function kickStale(): Promise<void> {
    if (publishing) for (const name of await staleCrls(db)) kick(name);
  }

  return {
    idle: () => runner.idle(),
    close() {
      closing = true;
      return runner.close();
    },
    kickStale,
    start() {
      publishing = true;
      return kickStale();
    },
  };
}
