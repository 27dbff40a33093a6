import { OID } from '../oids.ts';
import { findExtension, type Lint } from './lint.ts';

/** RFC 6960 §4.2.2.2.1: a delegated responder carries ocsp-nocheck (NULL, not critical); nobody else is exempt from being checked. */
export const ocspNoCheck: Lint = {
  name: 'ocsp-no-check',
  reference: 'RFC 6960 §4.2.2.2.1',
  check({ certificate, kind }) {
    const extension = findExtension(certificate, OID.ocspNoCheck);
    if (kind !== 'ocsp') return extension ? 'only a responder carries ocsp-nocheck' : undefined;
    if (!extension) return 'a responder needs ocsp-nocheck';
    return extension.critical || extension.value.toString('hex') !== '0500' ? 'ocsp-nocheck is NULL and not critical' : undefined;
  },
};
