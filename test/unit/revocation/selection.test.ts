import { describe, expect, test } from '@jest/globals';
import type { SelectorInput } from '../../../src/api/kills.ts';
import { namedSelection, selectorOf } from '../../../src/revocation/selection.ts';

const SERIAL = '0100512a'.padEnd(40, 'f');

describe('what a selector names outright', () => {
  test.each<[SelectorInput, unknown]>([
    [{ serial: SERIAL.toUpperCase() }, { selector: 'serial', target: SERIAL }],
    [{ instanceId: 'i' }, { selector: 'instance', target: 'i' }],
    [{ agentId: 'a' }, { selector: 'agent', target: 'a' }],
    [{ labels: { team: 'pay' } }, { selector: 'labels', target: '{"team":"pay"}' }],
    [{ owner: 'o@example.com' }, undefined],
    [{ profile: 'agent' }, undefined],
    [{ issuerId: 'x' }, undefined],
    [{ everything: true }, undefined],
    [{ labels: {} }, undefined],
    [{}, undefined],
    [{ agentId: 'a', labels: { team: 'pay' } }, undefined],
  ])('%p', (selector, selection) => {
    expect(namedSelection(selector)).toEqual(selection);
  });

  test('a serial that is none', () => {
    expect(() => namedSelection({ serial: 'xyz' })).toThrow(expect.objectContaining({ code: 'serial-malformed' }));
  });
});

test.each<[SelectorInput]>([
  [{ serial: SERIAL }], [{ instanceId: 'i' }], [{ agentId: 'a' }], [{ labels: { team: 'pay' } }], [{ issuerId: 'x' }], [{ profile: 'agent' }], [{ everything: true }],
])('%p comes back as it was given', (selector) => {
  const named = namedSelection(selector);
  const [[member, given]] = Object.entries(selector) as [[string, unknown]];
  const selection = named ?? { selector: member === 'issuerId' ? 'issuer' : (member as 'profile' | 'everything'), target: given === true ? '*' : String(given) };
  expect(selectorOf(selection)).toEqual(selector);
});

test('an owner is shown by the address that is known of it', () => {
  expect(selectorOf({ selector: 'owner', target: 'id' })).toEqual({ owner: 'id' });
  expect(selectorOf({ selector: 'owner', target: 'id' }, 'o@example.com')).toEqual({ owner: 'o@example.com' });
});
