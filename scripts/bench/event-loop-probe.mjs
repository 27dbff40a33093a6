/** Loaded into each process of the service (`--import`): tells how long its event loop was blocked at most. SIGUSR2 writes it to a file, and begins anew; before the first nothing is measured, which costs. */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
process.on('SIGUSR2', () => {
  writeFileSync(path.join(os.tmpdir(), `signet-bench-loop-${process.pid}`), String(Math.max(0, delay.max / 1e6 - RESOLUTION_MS)));
  delay.reset();
  delay.enable();
});
