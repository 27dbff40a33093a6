import { tbsField } from './tbs-field.ts';
import type { Lint } from './lint.ts';

/** RFC 5280 §4.1.1.2: the algorithm named inside is the one outside, which is the one the issuer signs with. */
export const signatureAlgorithm: Lint = {
  name: 'signature-algorithm',
  reference: 'RFC 5280 §4.1.1.2',
  check({ certificate, issuer }) {
    const inside = tbsField(certificate.tbs, 'signature');
    if (!inside.equals(issuer.signatureAlgorithm)) return "the algorithm inside is not the issuer's";
    if (!certificate.signatureAlgorithm.equals(inside)) return 'the algorithms inside and outside differ';
    return undefined;
  },
};
