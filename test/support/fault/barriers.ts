import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BarrierName } from '../../../src/core/barrier.ts';

const POLL_MS = 5;
const REACHED_MS = 20_000;

/** The named steps at which one process stops (src/admin/fault-barriers.ts): a file arms a step, its going lets the process on. */
export interface Barriers {
  arm(name: BarrierName): void;
  /** Resolves when the process stands at the armed step. */
  reached(name: BarrierName): Promise<void>;
  release(name: BarrierName): void;
}

export function fileBarriersIn(dir: string): Barriers {
  fs.mkdirSync(dir, { recursive: true });
  const file = (name: BarrierName) => path.join(dir, name.replace(':', '.'));
  return {
    arm(name) {
      fs.rmSync(`${file(name)}.reached`, { force: true });
      fs.writeFileSync(file(name), '');
    },
    async reached(name) {
      for (const deadline = performance.now() + REACHED_MS; performance.now() < deadline; await sleep(POLL_MS)) if (fs.existsSync(`${file(name)}.reached`)) return;
      throw new Error(`the process did not come to ${name} in ${REACHED_MS / 1000} s`);
    },
    release(name) {
      fs.rmSync(file(name), { force: true });
    },
  };
}
