import type { Context } from '../context.ts';
import { appendAuditHot } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { inPipelinedTransaction } from '../db/client.ts';
import { killFew } from '../db/kill-few.ts';
import { insertKill } from '../db/kill-steps.ts';
import type { KillRecord } from '../db/kills.ts';
import { announce } from './announce.ts';
import { appendFeedHot } from './feed.ts';
import { auditOfStart, auditOfStep, countChanged, coveredSince, feedOfStates, feedOfStep, finishedEvent, type Started } from './kill-news.ts';

type AtOnceContext = Pick<Context, 'db' | 'config' | 'profiles' | 'random' | 'clock' | 'signals' | 'siblings' | 'metrics' | 'barrier'>;

/** Agents and certificates that a kill may hit to be done at once: the gate is held while they are changed, some 20 ms. */
const AT_ONCE_MAX = 250;

/**
 * A kill of few in one transaction of two round trips: gate, states, certificates in later statements (DESIGN §2); then its row, feed and audit. Undefined, with nothing changed, where it
 * hits more than AT_ONCE_MAX or than needs no confirmation, or where there is something to refuse: the way in steps does and says that.
 */
export async function killAtOnce(ctx: AtOnceContext, origin: Origin, started: Started): Promise<KillRecord | undefined> {
  const bound = Math.min(AT_ONCE_MAX, ctx.config.killConfirmAbove);
  const done = await inPipelinedTransaction(ctx.db, async (tx) => {
    const hit = await killFew(tx, started, { since: coveredSince(ctx, started), bound });
    if (!hit) return undefined;
    await ctx.barrier('kill:few-changed');
    const now = started.createdAt;
    const kill: KillRecord = {
      ...started,
      owners: hit.owners.length, agents: hit.agents.length, instances: hit.instances.length, certificates: hit.changed.length, released: 0,
      state: 'done', position: null, touchedAt: now, finishedAt: now, resumedAt: null,
    };
    const running = { ...kill, state: 'running' as const };
    const step = { changed: hit.changed, agents: [], instances: [] };
    tx.leave(
      insertKill(tx, kill),
      appendFeedHot(tx, now, [...feedOfStates(started, hit), ...feedOfStep(running, step)]),
      appendAuditHot(ctx, tx, origin, now, ...auditOfStart(started, hit), ...auditOfStep(running, step), finishedEvent(running, { certificates: kill.certificates })),
    );
    return { kill, hit };
  });
  if (!done) return undefined;
  const { kill, hit } = done;
  const flipped = hit.changed.filter((row) => row.flipped);
  countChanged(ctx, { ...kill, state: 'running' }, flipped.length);
  await announce(ctx, [...flipped, ...hit.lately]);
  await ctx.barrier('kill:few-committed');
  return kill;
}
