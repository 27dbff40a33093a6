import { sequence, time } from '../der/writer.ts';
import { tbsField } from './tbs-field.ts';
import type { Lint } from './lint.ts';

/** RFC 5280 §4.1.2.5: UTCTime through 2049 and GeneralizedTime from 2050, in whole seconds, in Zulu time. */
export const validityEncoding: Lint = {
  name: 'validity-encoding',
  reference: 'RFC 5280 §4.1.2.5',
  check({ certificate: { tbs, notBefore, notAfter } }) {
    if (notBefore.getTime() % 1000 !== 0 || notAfter.getTime() % 1000 !== 0) return 'validity is not in whole seconds';
    return tbsField(tbs, 'validity').equals(sequence(time(notBefore), time(notAfter))) ? undefined : 'validity is not UTCTime through 2049 and GeneralizedTime after';
  },
};
