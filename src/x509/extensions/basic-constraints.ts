import { booleanValue, DerError, open, smallInteger } from '../der/reader.ts';
import { boolean, integer, sequence, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** Whether the subject is a CA, and how many CAs may follow below it (RFC 5280 §4.2.1.9). */
export interface BasicConstraints {
  ca: boolean;
  /** pathLenConstraint; only with `ca`. Undefined: no limit. */
  pathLength?: number | undefined;
}

/** Critical in CA certificates, not critical in others. @throws RangeError for a path length without `ca` */
export function encodeBasicConstraints({ ca, pathLength }: BasicConstraints): Extension {
  if (pathLength !== undefined && !ca) throw new RangeError('path length of a certificate that is no CA');
  const value = sequence(...(ca ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)]));
  return { oid: OID.basicConstraints, critical: ca, value };
}

/** @throws DerError */
export function parseBasicConstraints(value: Uint8Array): BasicConstraints {
  const top = open(value);
  const fields = top.sequence('BasicConstraints');
  top.end('BasicConstraints');
  const flag = fields.optional(TAG.BOOLEAN);
  if (flag && !booleanValue(flag)) throw new DerError('cA FALSE is written out', flag.offset);
  const limit = fields.optional(TAG.INTEGER);
  fields.end('BasicConstraints');
  if (limit && !flag) throw new DerError('pathLenConstraint without cA', limit.offset);
  return { ca: flag !== undefined, pathLength: limit && smallInteger(limit) };
}
