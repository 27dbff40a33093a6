import type { Context } from '../context.ts';
import { systemClock } from '../core/clock.ts';
import type { ChangedCertificate } from './signals.ts';
import { MAX_FEED_AGE_MS } from './status-reader.ts';

/**
 * How long a silent worker is waited for. It is not asked for its word because that would be needed for ever, but for the time until it can no longer be wrong: a
 * cached good is answered only while the feed was read within the last MAX_FEED_AGE_MS (DESIGN invariant 13), and every reading that began after our commit
 * finds the change and drops the serial before the reading counts. So from MAX_FEED_AGE_MS after the commit on no worker says good from memory, whether its
 * messages are late, or it stands still (its monotonic clock does not). The rest is for clocks that tick coarsely.
 */
const CONFIRMED_MS = MAX_FEED_AGE_MS + 250;

/** Certificates in one message to the other workers: about 100 kB. */
const MESSAGE_CERTIFICATES = 1_000;

/**
 * Makes this replica answer with a committed change before the change is acknowledged (DESIGN invariant 13): this process drops cached OCSP answers, the other
 * workers confirm that they have, and publication of the lists is started. The lists themselves are not waited for. Whoever follows the feed here is
 * told at once, too: the notification of the database comes over another connection, and on busy cores much later. Call it right after the commit.
 */
export async function announce(ctx: Pick<Context, 'signals' | 'siblings'>, changed: readonly ChangedCertificate[]): Promise<void> {
  ctx.signals.committed();
  if (changed.length === 0) return;
  ctx.signals.changed(changed);
  // One message after the other, so that few wait in memory; all of them together no longer than a single one may.
  const until = systemClock.monotonicMs() + CONFIRMED_MS;
  for (let start = 0; start < changed.length; start += MESSAGE_CERTIFICATES) {
    const leftMs = until - systemClock.monotonicMs();
    if (leftMs <= 0) return;
    await ctx.siblings.ask('certificates-changed', changed.slice(start, start + MESSAGE_CERTIFICATES).map(({ serial, issuerId, shard }) => ({ serial, issuerId, shard })), leftMs);
  }
}
