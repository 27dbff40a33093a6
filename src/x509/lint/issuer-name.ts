import type { Lint } from './lint.ts';

/** RFC 5280 §4.1.2.4 and §6.1.3 (a)(4): the issuer field is the issuer's subject, octet by octet, and not empty. */
export const issuerName: Lint = {
  name: 'issuer-name',
  reference: 'RFC 5280 §4.1.2.4',
  check({ certificate, issuer, kind }) {
    if (certificate.issuer.length === 0) return 'issuer is empty';
    if (!certificate.issuerName.equals(issuer.subjectName)) return "issuer differs from the issuer's subject";
    if (kind === 'root' && !certificate.subjectName.equals(certificate.issuerName)) return 'root is not self-issued';
    return undefined;
  },
};
