import { OID } from '../oids.ts';
import { findExtension, isAuthority, type Lint } from './lint.ts';

/**
 * RFC 5280 §4.2.1.9: present and critical in CA certificates, with a path length that leaves room for what the kind must sign and
 * fits under its issuer's; everyone else says cA FALSE.
 */
export const basicConstraints: Lint = {
  name: 'basic-constraints',
  reference: 'RFC 5280 §4.2.1.9',
  check({ certificate, kind, issuer }) {
    const extension = findExtension(certificate, OID.basicConstraints);
    const constraints = certificate.basicConstraints;
    if (!extension || !constraints) return 'basic constraints are missing';
    if (!isAuthority(kind)) return constraints.ca ? 'a certificate of this kind must not be a CA' : undefined;
    if (!constraints.ca || !extension.critical) return 'a CA certificate needs critical basic constraints with cA TRUE';
    const { pathLength = Infinity } = constraints;
    if (kind === 'issuing' && pathLength !== 0) return 'an issuing CA has path length 0';
    // A root or its cross-certificate has an issuing CA below it.
    if (kind !== 'issuing' && pathLength < 1) return 'path length leaves no room for an issuing CA';
    if (kind !== 'root' && issuer.pathLength !== undefined && pathLength >= issuer.pathLength) return "path length does not fit under the issuer's";
    return undefined;
  },
};
