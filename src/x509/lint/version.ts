import type { Lint } from './lint.ts';

/** RFC 5280 §4.1.2.1: a certificate with extensions is version 3. */
export const version: Lint = {
  name: 'version',
  reference: 'RFC 5280 §4.1.2.1',
  check: ({ certificate }) => (certificate.version === 3 ? undefined : 'is not version 3'),
};
