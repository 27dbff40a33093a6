import type { Context } from '../context.ts';
import { appendAuditHot } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { inPipelinedTransaction, type PipelinedTx } from '../db/client.ts';
import { takeGateExclusively } from '../db/gate.ts';
import { hasStatesLeft, killAgents, positionAfterStates } from '../db/kill-states.ts';
import { lockUnfinishedKill, stepKill, toldLately, updateKill, type KillStep } from '../db/kill-steps.ts';
import type { KillRecord } from '../db/kills.ts';
import { announce } from './announce.ts';
import { appendFeedHot } from './feed.ts';
import { auditOfAgents, auditOfStep, countChanged, coveredSince, feedOfStates, feedOfStep, finishedEvent, onBehalfOf } from './kill-news.ts';

type StepContext = Pick<Context, 'db' | 'profiles' | 'random' | 'clock' | 'signals' | 'siblings' | 'metrics' | 'barrier'>;

/**
 * Does what is left of a kill, or of its resume: states of agents where they are many, then certificates in steps of a few thousand, each one transaction with its feed and audit rows. Whoever dies between two
 * steps leaves the rest to whoever calls this next; two at once take turns. Resolves when nothing is left. `signal` stops it between two steps, with its reason.
 */
export async function finishKill(ctx: StepContext, origin: Origin, killId: string, signal?: AbortSignal): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const step = await nextStep(ctx, origin, killId);
    if (step === undefined) {
      // Somebody else did the last of it, and may not have told this replica: what is acknowledged here must hold here (invariant 13).
      await announce(ctx, await toldLately(ctx.db, killId, ctx.clock.now()));
      return;
    }
    const { kill, changed, lately, isLast } = step;
    const flipped = changed.filter((row) => row.flipped);
    countChanged(ctx, kill, flipped.length);
    await announce(ctx, [...flipped, ...lately]);
    await ctx.barrier('kill:step-committed');
    if (isLast) return;
  }
}

/** One step, committed; undefined when nothing was left to do. */
function nextStep(ctx: StepContext, origin: Origin, killId: string): Promise<(KillStep & { kill: KillRecord }) | undefined> {
  return inPipelinedTransaction(ctx.db, async (tx) => {
    const kill = await lockUnfinishedKill(tx, killId);
    if (!kill) return undefined;
    const now = ctx.clock.now();
    if (hasStatesLeft(kill)) return moreStates(ctx, tx, origin, { kill, now });
    const step = await stepKill(tx, kill, { now, since: coveredSince(ctx, kill) });
    await ctx.barrier('kill:step-changed');
    const flipped = step.changed.filter((row) => row.flipped).length;
    const resuming = kill.state === 'resuming';
    const counts = resuming ? { released: kill.released + flipped } : { certificates: kill.certificates + step.changed.length };
    const end = resuming ? { state: 'resumed', resumedAt: now } as const : { state: 'done', finishedAt: now } as const;
    tx.leave(updateKill(tx, { ...kill, ...counts, position: step.position, touchedAt: now, ...(step.isLast ? end : {}) }), appendFeedHot(tx, now, feedOfStep(kill, step)));
    await ctx.barrier('kill:step-before-commit');
    tx.leave(appendAuditHot(ctx, tx, onBehalfOf(origin, kill), now, ...auditOfStep(kill, step), ...(step.isLast ? [finishedEvent(kill, counts)] : [])));
    return { ...step, kill };
  });
}

/** The states of the next agents, under the gate, of a kill that hits more than one transaction should change while nothing is issued. */
async function moreStates(ctx: StepContext, tx: PipelinedTx, origin: Origin, { kill, now }: { kill: KillRecord; now: Date }): Promise<KillStep & { kill: KillRecord }> {
  await takeGateExclusively(tx);
  const agents = await killAgents(tx, kill, now);
  const position = positionAfterStates(agents);
  tx.leave(
    updateKill(tx, { ...kill, agents: kill.agents + agents.length, position, touchedAt: now }),
    appendFeedHot(tx, now, feedOfStates(kill, { owners: [], agents, instances: [] })),
    appendAuditHot(ctx, tx, onBehalfOf(origin, kill), now, ...auditOfAgents(kill, agents)),
  );
  return { kill, changed: [], lately: [], agents, instances: [], position, isLast: false };
}
