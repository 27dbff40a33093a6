import { context, sequence } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';
import { encodeUri } from './general-names.ts';

/**
 * Permitted URI hosts: a name means that host, a leading dot every host below it (RFC 5280 §4.2.1.10, which wants the extension critical;
 * DESIGN §6 says who then refuses what). verify/name-constraints.ts reads it.
 */
export const encodeNameConstraints = ({ permittedUris }: { permittedUris: readonly string[] }, critical: boolean): Extension => ({
  oid: OID.nameConstraints,
  critical,
  value: sequence(context(0, ...permittedUris.map((host) => sequence(encodeUri(host))))),
});
