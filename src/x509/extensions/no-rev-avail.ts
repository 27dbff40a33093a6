import { nullValue } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** There is no revocation information for this certificate: it lives too short (RFC 9608 §2). Never critical. */
export const encodeNoRevAvail = (): Extension => ({ oid: OID.noRevAvail, critical: false, value: nullValue() });
