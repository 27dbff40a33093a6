import { OID } from '../oids.ts';
import { findExtension, isAuthority, type Lint } from './lint.ts';

/** RFC 5280 §4.2.1.10: name constraints only in CA certificates. */
export const nameConstraints: Lint = {
  name: 'name-constraints',
  reference: 'RFC 5280 §4.2.1.10',
  check: ({ certificate, kind }) => (!isAuthority(kind) && findExtension(certificate, OID.nameConstraints) ? 'name constraints in a certificate that is no CA' : undefined),
};
