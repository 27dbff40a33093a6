import { OID } from '../oids.ts';
import { findExtension, type CertificateKind, type Lint } from './lint.ts';

/** What each kind may be used for. Authorities carry no extended key usage: many clients would apply it to all below (DESIGN §6). */
const ALLOWED: Readonly<Record<CertificateKind, readonly string[]>> = {
  leaf: ['clientAuth', 'serverAuth'],
  tls: ['serverAuth'],
  ocsp: ['OCSPSigning'],
  feed: ['jwt'],
  issuing: [],
  root: [],
  cross: [],
};

/** RFC 5280 §4.2.1.12: only the purposes of the kind, never anyExtendedKeyUsage; not critical. */
export const extendedKeyUsage: Lint = {
  name: 'extended-key-usage',
  reference: 'RFC 5280 §4.2.1.12',
  check({ certificate, kind }) {
    const allowed = ALLOWED[kind];
    const extension = findExtension(certificate, OID.extendedKeyUsage);
    if (!extension) return allowed.length === 0 ? undefined : 'extended key usage is missing';
    if (extension.critical) return 'extended key usage is critical';
    const found = certificate.extendedKeyUsage ?? [];
    const foreign = found.find((purpose) => !allowed.includes(purpose));
    if (foreign !== undefined) return `purpose ${foreign} is not one of this kind`;
    if (found.length === 0 || new Set(found).size !== found.length) return 'purposes are empty or repeated';
    return undefined;
  },
};
