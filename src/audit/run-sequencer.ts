import { ulid } from '../core/random.ts';
import { releaseSequencerLease, takeSequencerLease } from '../db/audit-logs.ts';
import { createSequencer, type SequenceContext, type Step } from './sequence.ts';

/** How often events are looked for: each is hashed, and most are signed, within a second. Milliseconds. */
const TICK_MS = 500;
/** How long a sequencer may be silent before another goes on. */
const LEASE_SECONDS = 5;
const EXTEND_MS = 2_000;
/** After a failure: the database is away, or the folder of copies cannot be written. Another replica may have more luck meanwhile. */
const FAILED_MS = 2_000;

export interface RunningSequencer {
  /** Resolves when the step under way has ended and the lease is given back. */
  stop(): Promise<void>;
}

/** Sequences as long as this process has the lease, and follows what is signed else. `onCheckpoint`: told each checkpoint that is signed here. */
export function runSequencer(ctx: SequenceContext, onStep: (step: Step) => void = () => undefined): RunningSequencer {
  const sequencer = createSequencer(ctx);
  const holder = ulid(ctx.clock.now(), ctx.random);
  const stopping = new AbortController();
  let heldUntilMs = -Infinity;
  let wakes: (() => void) | undefined;
  let failed = false;

  async function round(): Promise<number> {
    if (ctx.clock.monotonicMs() > heldUntilMs - LEASE_SECONDS * 1000 + EXTEND_MS) {
      const askedMs = ctx.clock.monotonicMs();
      heldUntilMs = (await takeSequencerLease(ctx.db, holder, LEASE_SECONDS)) ? askedMs + LEASE_SECONDS * 1000 : -Infinity;
    }
    if (heldUntilMs === -Infinity) {
      await sequencer.follow();
      return EXTEND_MS / 2;
    }
    const step = await sequencer.step(stopping.signal);
    onStep(step);
    return step.isBehind === true ? 0 : TICK_MS;
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      let waitMs: number;
      const beganMs = ctx.clock.monotonicMs();
      try {
        waitMs = await round();
        if (failed) ctx.log.info('the audit log is sequenced again');
        failed = false;
      } catch (error) {
        if (!failed) ctx.log.warn({ err: error }, 'the audit log could not be sequenced; it is tried again');
        failed = true;
        heldUntilMs = -Infinity;
        await releaseSequencerLease(ctx.db, holder).catch(() => undefined);
        waitMs = FAILED_MS;
      }
      await pause(Math.max(0, waitMs - (ctx.clock.monotonicMs() - beganMs)));
    }
    await releaseSequencerLease(ctx.db, holder).catch(() => undefined);
  }

  function pause(ms: number): Promise<void> {
    if (stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wakes = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  const running = loop();
  return {
    async stop() {
      stopping.abort();
      wakes?.();
      await running;
    },
  };
}
