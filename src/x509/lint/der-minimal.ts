import { DerError, open } from '../der/reader.ts';
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
    const broken = certificate.extensions.find((extension) => !isOneElement(extension.value));
    return broken && `the value of extension ${broken.oid} is not one DER element`;
  },
};

function isOneElement(value: Buffer): boolean {
  try {
    const cursor = open(value);
    cursor.next();
    cursor.end('extension value');
    return true;
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}
