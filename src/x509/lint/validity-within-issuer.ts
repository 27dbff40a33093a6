import type { Lint } from './lint.ts';

/** RFC 5280 §6.1.3 (a)(2): every certificate of a path must be valid at the same time, so none begins before or outlives its issuer. */
export const validityWithinIssuer: Lint = {
  name: 'validity-within-issuer',
  reference: 'RFC 5280 §6.1.3 (a)(2)',
  check({ certificate: { notBefore, notAfter }, issuer }) {
    if (notBefore >= notAfter) return 'notBefore is not before notAfter';
    if (notBefore < issuer.notBefore) return 'is valid before its issuer';
    if (notAfter > issuer.notAfter) return 'outlives its issuer';
    return undefined;
  },
};
