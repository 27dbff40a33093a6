import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../src/core/errors.ts';
import { lockFolder } from '../src/db/data-lock.ts';

const POLL_MS = 100;

/** Runs `work` while no other process generates or builds in this checkout (`npm start` beside `npm test`). */
export async function withBuildLock(root: string, work: () => void): Promise<void> {
  for (;;) {
    try {
      const lock = await lockFolder(root);
      try {
        return work();
      } finally {
        await lock.release();
      }
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      await sleep(POLL_MS);
    }
  }
}
