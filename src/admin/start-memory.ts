import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives back, once, what starting has used: reading the schema engine and making authorities leaves a heap that V8 would keep for as long as the service idles (first
 * start 186-207 MB resident, of which a third is free). Blocks for some tens of milliseconds: call it before the doors open.
 */
export const releaseStartMemory = (): void => collectGarbage();

/** For a command that reads a million rows one after the other: V8 would let them become hundreds of megabytes before it looks. Blocks as above. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  collect({ execution: 'sync', flavor: 'last-resort', type: 'major' });
}
