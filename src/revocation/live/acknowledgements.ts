import { createBatcher, type Batcher } from '../../db/batcher.ts';
import type { Db } from '../../db/client.ts';
import { recordAcknowledgements, type Acknowledged, type Acknowledgement } from '../../db/enforcement-points.ts';
import type { FeedWorld } from './told.ts';

/** Acknowledgements of many enforcement points, written together. */
export type AcknowledgementQueue = Batcher<Acknowledgement, Acknowledged>;

const MAX_BATCH = 256;
const MAX_QUEUE = 8_192;

export const createAcknowledgementQueue = ({ db, feed }: { db: Db; feed: { world: FeedWorld } }): AcknowledgementQueue =>
  createBatcher<Acknowledgement, Acknowledged>({ maxBatch: MAX_BATCH, maxQueue: MAX_QUEUE, run: (batch) => recordAcknowledgements(db, feed.world.epoch, batch), conflictKeys: ({ id }) => [id] });
