import { OID } from '../oids.ts';
import { findExtension, isAuthority, type Lint } from './lint.ts';

/** RFC 5280 §4.2.1.3: critical; CAs sign certificates and lists and nothing else, everyone else only makes digital signatures. */
export const keyUsage: Lint = {
  name: 'key-usage',
  reference: 'RFC 5280 §4.2.1.3',
  check({ certificate, kind }) {
    if (!findExtension(certificate, OID.keyUsage)?.critical) return 'key usage is missing or not critical';
    const wanted = isAuthority(kind) ? ['cRLSign', 'keyCertSign'] : ['digitalSignature'];
    const found = (certificate.keyUsage ?? []).toSorted();
    return found.join() === wanted.join() ? undefined : `key usage is ${found.join(', ')}, not ${wanted.join(', ')}`;
  },
};
