/** Serial numbers (RFC 5280 §4.1.2.2, DESIGN invariant 3): version octet 01, three octets of expiry bucket, sixteen random ones. */
import { SignetError } from '../core/errors.ts';

/** Octets in a serial of ours. */
export const SERIAL_BYTES = 20;
const VERSION = 1;
const ENTROPY_BYTES = 16;
const MS_PER_DAY = 86_400_000;

/** Bucket of serials that are not of our layout: no partition has it. */
const NO_BUCKET = -1;

/** The expiry bucket of a time: whole UTC days since 1970. */
export const bucketOf = (at: Date): number => Math.floor(at.getTime() / MS_PER_DAY);

/** A serial for a certificate that ends at `notAfter`; `random16` are 16 octets from a CSPRNG. @throws RangeError for other lengths or times */
export function makeSerial(notAfter: Date, random16: Uint8Array): Buffer {
  const bucket = bucketOf(notAfter);
  if (random16.length !== ENTROPY_BYTES || !(bucket >= 0 && bucket < 1 << 24)) throw new RangeError('a serial needs 16 random octets and a time from 1970 on');
  const serial = Buffer.allocUnsafeSlow(SERIAL_BYTES);
  serial[0] = VERSION;
  serial.writeUIntBE(bucket, 1, 3);
  serial.set(random16, 4);
  return serial;
}

/** The expiry bucket inside a serial; -1, which no partition has, when the serial is not of our layout. */
export function bucketOfSerial(serial: Uint8Array): number {
  if (serial.length !== SERIAL_BYTES || serial[0] !== VERSION) return NO_BUCKET;
  return ((serial[1] ?? 0) << 16) | ((serial[2] ?? 0) << 8) | (serial[3] ?? 0);
}

const PLAIN_HEX = /^[0-9a-fA-F]{40}$/;
const COLON_HEX = /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){19}$/;

/** Octets of a serial written as 40 hex digits of either case, with a colon between octets or none. @throws SignetError `serial-malformed` */
export function parseSerial(hex: string): Buffer {
  if (PLAIN_HEX.test(hex)) return Buffer.from(hex, 'hex');
  if (COLON_HEX.test(hex)) return Buffer.from(hex.replaceAll(':', ''), 'hex');
  throw new SignetError('serial-malformed', 'a serial number is 40 hexadecimal digits (20 octets), with or without colons between octets');
}

/** A serial as lower-case hex digits. */
export const serialHex = (serial: Uint8Array): string => Buffer.from(serial.buffer, serial.byteOffset, serial.byteLength).toString('hex');
