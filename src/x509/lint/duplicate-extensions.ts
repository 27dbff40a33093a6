import type { Lint } from './lint.ts';

/** RFC 5280 §4.2: no extension twice. */
export const duplicateExtensions: Lint = {
  name: 'duplicate-extensions',
  reference: 'RFC 5280 §4.2',
  check({ certificate: { extensions } }) {
    const oids = extensions.map((extension) => extension.oid);
    const twice = oids.find((oid, i) => oids.indexOf(oid) !== i);
    return twice === undefined ? undefined : `extension ${twice} appears twice`;
  },
};
