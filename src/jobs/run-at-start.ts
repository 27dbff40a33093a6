import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { partitions } from './partitions.ts';
import { rotateFeedKey } from './rotate-feed-key.ts';
import { rotateIssuers } from './rotate-issuers.ts';
import { rotateResponders } from './rotate-responders.ts';
import { rotateTls } from './rotate-tls.ts';

const ORIGIN: Origin = { actor: { kind: 'system', id: 'start' }, requestId: null, source: null };

/**
 * What must be in force before the doors open, after any time of standstill or a change of config: partitions, issuer, responders, TLS certificate, feed key. Each is
 * the use case of a job; what fails here is logged, and the job tries again.
 */
export async function runAtStart(ctx: Context): Promise<void> {
  for (const [name, run] of Object.entries({ partitions, rotateIssuers, rotateResponders, rotateTls, rotateFeedKey })) {
    await run(ctx, ORIGIN).catch((error: unknown) => ctx.log.error({ err: error, job: name }, 'could not be brought up to date at start'));
  }
}
