import { expect, test } from '@jest/globals';
import { hasStatesLeft, positionAfterStates } from '../../../src/db/kill-states.ts';

const changed = (count: number) => Array.from({ length: count }, (_, i) => ({ id: String(i), flipped: true }));

test('states are left for as long as a step finds as many as it may change; a resume has none', () => {
  expect([0, 1, 1_999].map((count) => positionAfterStates(changed(count)))).toEqual([null, null, null]);
  const position = positionAfterStates(changed(2_000));
  expect(hasStatesLeft({ state: 'running', position })).toBe(true);
  expect(hasStatesLeft({ state: 'resuming', position })).toBe(false);
  expect(hasStatesLeft({ state: 'running', position: null })).toBe(false);
  expect(hasStatesLeft({ state: 'running', position: '20778:0100' })).toBe(false);
});
