import { encodeAuthorityKeyIdentifier } from '../extensions/authority-key-identifier.ts';
import { OID } from '../oids.ts';
import { findExtension, type Lint } from './lint.ts';

/** RFC 5280 §4.2.1.1: not critical, and nothing but the issuer's key identifier; only a self-signed root may leave it out. */
export const authorityKeyIdentifier: Lint = {
  name: 'authority-key-identifier',
  reference: 'RFC 5280 §4.2.1.1',
  check({ certificate, kind, issuer }) {
    const extension = findExtension(certificate, OID.authorityKeyIdentifier);
    if (!extension) return kind === 'root' ? undefined : 'authority key identifier is missing';
    if (extension.critical) return 'authority key identifier is critical';
    return extension.value.equals(encodeAuthorityKeyIdentifier(issuer.subjectKeyIdentifier).value) ? undefined : "authority key identifier is not the issuer's alone";
  },
};
