import { OID } from '../oids.ts';
import type { Lint } from './lint.ts';

/** The only extensions ours mark critical. */
const MAY_BE_CRITICAL: readonly string[] = [OID.basicConstraints, OID.keyUsage, OID.subjectAlternativeName, OID.nameConstraints];

/** RFC 5280 §4.2: a relying party refuses what is critical and unknown to it, so nothing else is ever critical. */
export const unknownCriticalExtensions: Lint = {
  name: 'unknown-critical-extensions',
  reference: 'RFC 5280 §4.2',
  check({ certificate: { extensions } }) {
    const unknown = extensions.find((extension) => extension.critical && !MAY_BE_CRITICAL.includes(extension.oid));
    return unknown && `extension ${unknown.oid} is critical`;
  },
};
