import { expect, test } from '@jest/globals';
import { restartWaitMs } from '../../../src/supervisor/restart-wait.ts';

test('a worker that had served long is replaced at once; one that keeps ending is waited for ever longer, up to half a minute', () => {
  expect([0, 1, 2, 3, 7, 8, 100].map(restartWaitMs)).toEqual([0, 250, 500, 1_000, 16_000, 30_000, 30_000]);
});
