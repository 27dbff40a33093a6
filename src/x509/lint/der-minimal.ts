import { open } from '../der/reader.ts';
import { encodeTbs } from '../tbs.ts';
import { tbsField } from './tbs-field.ts';
import type { Lint } from './lint.ts';

/** X.690 §10: there is one encoding. What was read, written again, gives the same octets, and every extension holds exactly one strict element. */
export const derMinimal: Lint = {
  name: 'der-minimal',
  reference: 'X.690 §10',
  check({ certificate }) {
    const signatureAlgorithm = tbsField(certificate.tbs, 'signature');
    if (!encodeTbs({ ...certificate, signatureAlgorithm }).equals(certificate.tbs)) return 'encoding it again gives other octets';
    for (const { oid, value } of certificate.extensions) {
      const cursor = open(value);
      cursor.next();
      cursor.end(`value of extension ${oid}`);
    }
    return undefined;
  },
};
