import { createHash } from 'node:crypto';
import type { Context } from '../../context.ts';
import { SignetError } from '../../core/errors.ts';
import { inSnapshot } from '../../db/client.ts';
import { readNotGood, readSnapshotStanding } from '../../db/feed-snapshot.ts';
import { MAX_LEAF_SECONDS } from '../../profiles/profile.ts';
import { signStatement } from '../../verify/feed-statement.ts';
import { reasonName } from '../reasons.ts';
import { feedChain } from './heartbeat.ts';
import type { FeedView } from './told.ts';

/** Where the lines go. Resolves when more may come. @throws Error when the reader is gone, or too slow */
export type WriteLines = (octets: Buffer) => Promise<void>;

/** The longest a snapshot may take: a reader that is slower loses it, and with it our transaction. */
const SNAPSHOT_MS = 120_000;
/** How long a certificate stays in snapshots after its end: the clock of whoever checks it may not be there yet. */
const ENDED_MARGIN_MS = 600_000;
const REASON_NAMES = Array.from({ length: 11 }, (_, code) => reasonName(code));

export type SnapshotContext = Pick<Context, 'db' | 'authorities' | 'clock' | 'feed'>;

/** @throws SignetError `feed-unavailable` while nothing could be vouched for */
export function assertVouched(ctx: SnapshotContext): void {
  if (!ctx.authorities.snapshot().feed) throw new SignetError('feed-unavailable', 'there is no feed key yet', { retryAfterSeconds: 5 });
}

/**
 * Writes everything that is not good and has not ended, of one moment: one transaction that sees the same from its first line to its last, and the number of the
 * feed at it. The last line is signed over all before it: without it, or with another sum, the snapshot is worth nothing.
 */
export async function writeSnapshot(ctx: SnapshotContext, view: FeedView, write: WriteLines): Promise<void> {
  const sum = createHash('sha256');
  const told = async (text: string): Promise<void> => {
    const octets = Buffer.from(text);
    sum.update(octets);
    await write(octets);
  };
  const { standing, entries } = await inSnapshot(
    ctx.db,
    async (tx) => {
      const at = await readSnapshotStanding(tx);
      await told(`${JSON.stringify({ type: 'snapshot', cluster: at.cluster, epoch: at.epoch, n: Number(at.n), time: at.now.toISOString() })}\n`);
      let count = 0;
      const notAfter = new Date(at.now.getTime() - ENDED_MARGIN_MS);
      const endedSince = new Date(notAfter.getTime() - MAX_LEAF_SECONDS * 1000);
      for await (const lines of readNotGood(tx, { notAfter, identity: view === 'identity', endedSince, reasons: REASON_NAMES })) {
        count += lines.length;
        await told(`${lines.join('\n')}\n`);
      }
      return { standing: at, entries: count };
    },
    SNAPSHOT_MS,
  );
  const authority = ctx.authorities.snapshot();
  const signer = authority.feed;
  const x5c = feedChain(authority);
  if (!signer || !x5c) throw new Error('the feed key is gone');
  const sha256 = sum.digest('hex');
  const { cluster, epoch, n, now } = standing;
  const jws = await signStatement('snapshot', { cluster, epoch, n: Number(n), time: now.toISOString(), entries, sha256 }, { certificate: signer.der, key: signer.key });
  await write(Buffer.from(`${JSON.stringify({ type: 'end', entries, n: Number(n), sha256, jws, x5c })}\n`));
}
