import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatAgentSpiffeId, isTrustDomain, parseSpiffeId } from '../../../src/core/spiffe-id.ts';

test.each([
  ['spiffe://signet.internal', { trustDomain: 'signet.internal', segments: [] }],
  ['spiffe://a_b-c.1/agent/01J', { trustDomain: 'a_b-c.1', segments: ['agent', '01J'] }],
  ['spiffe://td/...', { trustDomain: 'td', segments: ['...'] }],
])('parseSpiffeId reads %s', (text, expected) => {
  expect(parseSpiffeId(text)).toEqual(expected);
});

test.each([
  '', 'spiffe:', 'spiffe://', 'spiffe:///agent/1', 'SPIFFE://td/a', 'https://td/a', ' spiffe://td/a', 'spiffe://td/a\n',
  'spiffe://TD/a', 'spiffe://td:8443/a', 'spiffe://user@td/a', 'spiffe://td/a?b', 'spiffe://td/a#b', 'spiffe://td/', 'spiffe://td/a/', 'spiffe://td//a',
  'spiffe://td/./a', 'spiffe://td/../a', 'spiffe://td/%61', 'spiffe://td/ä', 'spiffe://tä/a', 'spiffe://td/a b', 'spiffe://td/a\0',
])('parseSpiffeId refuses %j', (text) => {
  expect(parseSpiffeId(text)).toBeUndefined();
});

test('parseSpiffeId accepts 2048 octets and refuses 2049; trust domains 255 and 256', () => {
  const head = 'spiffe://td/';
  expect(parseSpiffeId(head + 'a'.repeat(2048 - head.length))).toBeDefined();
  expect(parseSpiffeId(head + 'a'.repeat(2049 - head.length))).toBeUndefined();
  expect(isTrustDomain('a'.repeat(255))).toBe(true);
  expect(isTrustDomain('a'.repeat(256))).toBe(false);
});

test('parseSpiffeId of any text is a refusal or the same text again', () => {
  const part = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '.', '-', '_', '/', '%', ':', '@', 'é') });
  fc.assert(
    fc.property(fc.oneof(fc.string(), part.map((tail) => `spiffe://${tail}`)), (text) => {
      const id = parseSpiffeId(text);
      if (id !== undefined) expect(['spiffe:/', id.trustDomain, ...id.segments].join('/')).toBe(text);
    }),
    { seed: 20261121, numRuns: 2000 },
  );
});

test('formatAgentSpiffeId names the agent, and the instance when one is given', () => {
  expect(formatAgentSpiffeId('signet.internal', '01A')).toBe('spiffe://signet.internal/agent/01A');
  expect(formatAgentSpiffeId('signet.internal', '01A', '01B')).toBe('spiffe://signet.internal/agent/01A/instance/01B');
});

test.each([['td', 'a/b'], ['td', '..'], ['td', ''], ['TD', 'a'], ['td/x', 'a']])('formatAgentSpiffeId refuses the trust domain %j with the agent %j', (domain, agent) => {
  expect(() => formatAgentSpiffeId(domain, agent)).toThrow(RangeError);
});
