import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createWatchdog, type Probed } from '../../../src/supervisor/watchdog.ts';

const SILENCE_SECONDS = 5;
const SECOND_MS = 1_000;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

interface Worker extends Probed {
  name: string;
  answers: boolean;
}
function worker(name: string, answers: boolean): Worker {
  let unanswered = 0;
  return {
    name, answers,
    probe() {
      const before = this.answers ? 0 : unanswered;
      unanswered = before + 1;
      return before;
    },
  };
}

test('only the one that lets all of them go by is named; one answer in between is enough', () => {
  const [lively, slow, still] = [worker('lively', true), worker('slow', false), worker('still', false)];
  const hung: string[] = [];
  const watchdog = createWatchdog(SILENCE_SECONDS, () => [lively, slow, still].filter(({ name }) => !hung.includes(name)), ({ name }) => hung.push(name));
  jest.advanceTimersByTime((SILENCE_SECONDS - 1) * SECOND_MS);
  slow.answers = true;
  jest.advanceTimersByTime(SECOND_MS);
  slow.answers = false;
  expect(hung).toEqual([]);
  jest.advanceTimersByTime(SECOND_MS);
  expect(hung).toEqual(['still']);
  watchdog.stop();
  jest.advanceTimersByTime(100 * SECOND_MS);
  expect(hung).toEqual(['still']);
});

test('0: never', () => {
  createWatchdog(0, () => [worker('still', false)], () => { throw new Error('killed'); });
  jest.advanceTimersByTime(10_000 * SECOND_MS);
});
