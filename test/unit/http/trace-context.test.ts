import { expect, test } from '@jest/globals';
import { traceIdOf } from '../../../src/http/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

test.each([`00-${TRACE}-${PARENT}-01`, `00-${TRACE}-${PARENT}-00`, `cc-${TRACE}-${PARENT}-01`, `cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`])('%s names its trace (W3C Trace Context §3.2)', (header) => {
  expect(traceIdOf(header)).toBe(TRACE);
});

test.each([
  undefined, '', 'x', [`00-${TRACE}-${PARENT}-01`], `00-${TRACE}-${PARENT}`, `00-${TRACE.toUpperCase()}-${PARENT}-01`, `00-${'0'.repeat(32)}-${PARENT}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`,
  `ff-${TRACE}-${PARENT}-01`, `00-${TRACE}-${PARENT}-01-more`, `00-${TRACE}-${PARENT}-01x`, ` 00-${TRACE}-${PARENT}-01`, `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`, `cc-${TRACE}-${PARENT}-01-${'x'.repeat(300)}`,
])('%j is ignored', (header) => {
  expect(traceIdOf(header)).toBeUndefined();
});
