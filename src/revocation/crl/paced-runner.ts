import type { Clock } from '../../core/clock.ts';

/** Runs work by key in the background: at once when it is wanted, then no sooner than the last run of that key allows. */
export interface PacedRunner {
  /** The work of this key is to be run once more, from its beginning. */
  want(key: string): void;
  /** Resolves when nothing runs and nothing is wanted. */
  idle(): Promise<void>;
  /** Runs what is wanted without waiting for its time, once, then nothing more. */
  close(): Promise<void>;
}

export interface PacedRunnerNeeds {
  clock: Clock;
  /** Runs at a time, over all keys. */
  maxParallel: number;
  /** Does the work of a key and says from when on (monotonic milliseconds) it may run again, and whether it must. Never rejects. */
  run: (key: string) => Promise<{ notBefore: number; again: boolean }>;
}

interface Slot {
  key: string;
  wanted: boolean;
  running: boolean;
  /** Monotonic milliseconds. */
  notBefore: number;
  timer: NodeJS.Timeout | undefined;
}

export function createPacedRunner({ clock, maxParallel, run }: PacedRunnerNeeds): PacedRunner {
  const slots = new Map<string, Slot>();
  const ready: Slot[] = [];
  let running = 0;
  let closed = false;
  let waitingForIdle: (() => void)[] = [];

  function schedule(slot: Slot): void {
    if (slot.running) return;
    const wait = closed ? 0 : slot.notBefore - clock.monotonicMs();
    if (wait <= 0) enqueue(slot);
    else slot.timer = setTimeout(() => enqueue(slot), wait).unref();
  }

  function enqueue(slot: Slot): void {
    clearTimeout(slot.timer);
    slot.timer = undefined;
    slot.running = true;
    ready.push(slot);
    startReady();
  }

  function startReady(): void {
    while (running < maxParallel) {
      const slot = ready.shift();
      if (!slot) return;
      running++;
      void runSlot(slot);
    }
  }

  async function runSlot(slot: Slot): Promise<void> {
    // What is wanted from here on may come too late for this run.
    slot.wanted = false;
    const { notBefore, again } = await run(slot.key);
    running--;
    slot.running = false;
    slot.notBefore = notBefore;
    slot.wanted ||= again && !closed;
    if (slot.wanted) schedule(slot);
    startReady();
    settleIdle();
  }

  function settleIdle(): void {
    if ([...slots.values()].some((slot) => slot.running || slot.wanted)) return;
    for (const resolve of waitingForIdle) resolve();
    waitingForIdle = [];
  }

  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      waitingForIdle.push(resolve);
      settleIdle();
    });

  return {
    want(key) {
      if (closed) return;
      const slot = slots.get(key) ?? { key, wanted: false, running: false, notBefore: 0, timer: undefined };
      slots.set(key, slot);
      if (slot.wanted) return;
      slot.wanted = true;
      schedule(slot);
    },
    idle,
    async close() {
      closed = true;
      for (const slot of slots.values()) if (slot.timer) enqueue(slot);
      await idle();
    },
  };
}
