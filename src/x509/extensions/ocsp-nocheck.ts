import { nullValue } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** The responder that holds this certificate need not be checked for revocation (RFC 6960 §4.2.2.2.1). Never critical. */
export const encodeOcspNoCheck = (): Extension => ({ oid: OID.ocspNoCheck, critical: false, value: nullValue() });
