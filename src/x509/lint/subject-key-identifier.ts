import { OID } from '../oids.ts';
import { keyIdentifierOf } from '../public-key.ts';
import { findExtension, type Lint } from './lint.ts';

/** RFC 5280 §4.2.1.2: present, not critical, and made from the certified key by the method of RFC 7093 §2 (1). */
export const subjectKeyIdentifier: Lint = {
  name: 'subject-key-identifier',
  reference: 'RFC 5280 §4.2.1.2',
  check({ certificate }) {
    const extension = findExtension(certificate, OID.subjectKeyIdentifier);
    if (!extension) return 'subject key identifier is missing';
    if (extension.critical) return 'subject key identifier is critical';
    return certificate.subjectKeyIdentifier?.equals(keyIdentifierOf(certificate.spki)) ? undefined : 'subject key identifier is not that of the key';
  },
};
