import { expect, test } from '@jest/globals';
import { LEAF_REASONS } from '../../../src/api/values.ts';
import { leafReason, reasonName, REASONS } from '../../../src/revocation/reasons.ts';

test('reason codes are those of RFC 5280 §5.3.1', () => {
  expect(REASONS).toEqual({
    unspecified: 0, keyCompromise: 1, cACompromise: 2, affiliationChanged: 3, superseded: 4, cessationOfOperation: 5,
    certificateHold: 6, removeFromCRL: 8, privilegeWithdrawn: 9, aACompromise: 10,
  });
  for (const name of LEAF_REASONS) expect(reasonName(leafReason(name))).toBe(name);
});

test.each(['certificateHold', 'removeFromCRL', 'cACompromise', 'aACompromise', '', 'toString', 'KeyCompromise'])('%s is no reason for a leaf', (name) => {
  expect(() => leafReason(name)).toThrow(/reason must be one of/);
});
