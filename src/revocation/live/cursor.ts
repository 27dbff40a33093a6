import { SignetError } from '../../core/errors.ts';
import type { Db } from '../../db/client.ts';
import { feedExtent } from '../../db/feed.ts';
import type { FeedWorld } from './told.ts';

/** Where a reader wants to go on. */
export interface WantedCursor {
  n: bigint;
  /** Undefined: it did not say. */
  clusterId: string | undefined;
  epoch: number | undefined;
}

const CURSOR = /^(?:([0-9A-Za-z_-]{1,64}):([1-9][0-9]{0,8}):)?(0|[1-9][0-9]{0,14})$/;

/** Reads `<cluster>:<epoch>:<n>`, or a bare number with its epoch apart. @throws SignetError `cursor-invalid` */
export function readFeedCursor(text: string, epoch: number | undefined): WantedCursor {
  const match = CURSOR.exec(text);
  if (!match) throw new SignetError('cursor-invalid', 'a cursor of the feed is <cluster>:<epoch>:<number>, or the number alone');
  const [, clusterId, ownEpoch, n = '0'] = match;
  return { n: BigInt(n), clusterId, epoch: ownEpoch === undefined ? epoch : Number(ownEpoch) };
}

/** @throws SignetError `feed-other-world` */
export function assertWorld(world: FeedWorld, said: { clusterId?: string | undefined; epoch?: number | undefined }): void {
  if (said.clusterId !== undefined && said.clusterId !== world.clusterId) {
    throw new SignetError('feed-other-world', `the number belongs to cluster ${said.clusterId}, and this is ${world.clusterId}: take GET /v1/revocations/snapshot`);
  }
  if (said.epoch !== undefined && said.epoch !== world.epoch) {
    throw new SignetError('feed-other-world', `the number belongs to epoch ${said.epoch}, and this is ${world.epoch} (the database was set back): take GET /v1/revocations/snapshot`);
  }
}

/** @throws SignetError `feed-cursor-ahead`, `feed-cursor-expired` */
export async function assertKept(db: Db, n: bigint): Promise<void> {
  const { oldest, last } = await feedExtent(db);
  if (n > last) throw new SignetError('feed-cursor-ahead', `the feed ends with ${last}, and was never at ${n}`);
  if (n + 1n < oldest) throw new SignetError('feed-cursor-expired', `the feed is kept from ${oldest} on, and what follows ${n} is gone: take GET /v1/revocations/snapshot`);
}
