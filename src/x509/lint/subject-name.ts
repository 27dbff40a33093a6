import { OID } from '../oids.ts';
import { findExtension, isAuthority, type Lint } from './lint.ts';

/** RFC 5280 §4.1.2.6: a CA has a subject; where the subject is empty the alternative name is critical, else it is not (§4.2.1.6). */
export const subjectName: Lint = {
  name: 'subject-name',
  reference: 'RFC 5280 §4.1.2.6',
  check({ certificate, kind }) {
    const names = findExtension(certificate, OID.subjectAlternativeName);
    if (certificate.subject.length > 0) return names?.critical ? 'the alternative name is critical beside a subject' : undefined;
    if (isAuthority(kind)) return 'a CA certificate needs a subject';
    return names?.critical ? undefined : 'an empty subject needs a critical alternative name';
  },
};
