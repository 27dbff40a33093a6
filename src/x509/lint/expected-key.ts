import type { Lint } from './lint.ts';

/** RFC 5280 §4.1.2.7: the certified key is the one whose possession was proven, or that was generated for it (DESIGN invariant 4). */
export const expectedKey: Lint = {
  name: 'expected-key',
  reference: 'RFC 5280 §4.1.2.7',
  check: ({ certificate, expectedSpki }) => (certificate.spki.equals(expectedSpki) ? undefined : 'certifies another key than the one that was proven'),
};
