import { bucketOf, bucketOfSerial } from '../serial.ts';
import type { Lint } from './lint.ts';

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. Ours are always 20: version 1, day of notAfter, 16 random octets (DESIGN invariant 3). */
export const serialNumber: Lint = {
  name: 'serial-number',
  reference: 'RFC 5280 §4.1.2.2',
  check({ certificate: { serial, notAfter } }) {
    if (bucketOfSerial(serial) !== bucketOf(notAfter)) return 'serial is not 20 octets of layout 1 with the day of notAfter';
    // All-zero entropy can only be a generator that did not run.
    if (serial.subarray(4).every((octet) => octet === 0)) return 'serial has no entropy';
    return undefined;
  },
};
