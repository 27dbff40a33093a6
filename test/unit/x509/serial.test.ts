import { expect, test } from '@jest/globals';
import { SignetError } from '../../../src/core/errors.ts';
import { unsignedInteger } from '../../../src/x509/der/writer.ts';
import { bucketOf, bucketOfSerial, makeSerial, parseSerial, serialHex } from '../../../src/x509/serial.ts';

const NOT_AFTER = new Date('2026-11-21T00:00:00Z');
const RANDOM = Buffer.from('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'hex');
const HEX = '0100512af0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';

const codeOf = (read: () => unknown): string | undefined => {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
};

test('makeSerial is version, three octets of bucket and the random octets', () => {
  expect(bucketOf(NOT_AFTER)).toBe(0x512a);
  expect(makeSerial(NOT_AFTER, RANDOM).toString('hex')).toBe(HEX);
});

test('a serial is 20 octets as an INTEGER, whatever is random (RFC 5280 §4.1.2.2)', () => {
  for (const fill of [0, 0x7f, 0x80, 0xff]) expect(unsignedInteger(makeSerial(NOT_AFTER, Buffer.alloc(16, fill))).subarray(0, 3).toString('hex')).toBe('021401');
});

test.each([
  ['the first second of a day', '2026-11-21T00:00:00Z', 20778],
  ['the last one', '2026-11-21T23:59:59.999Z', 20778],
  ['the next day', '2026-11-22T00:00:00Z', 20779],
  ['1970', '1970-01-01T00:00:00Z', 0],
])('bucketOf %s', (_, at, bucket) => {
  expect(bucketOf(new Date(at))).toBe(bucket);
  expect(bucketOfSerial(makeSerial(new Date(at), RANDOM))).toBe(bucket);
});

test.each([
  ['fifteen random octets', NOT_AFTER, RANDOM.subarray(1)],
  ['a time before 1970', new Date(-1), RANDOM],
  ['no time', new Date(NaN), RANDOM],
])('makeSerial refuses %s', (_, notAfter, random) => {
  expect(() => makeSerial(notAfter, random)).toThrow(RangeError);
});

test('serials of another layout are in no bucket', () => {
  for (const serial of ['', '01', HEX.slice(2), `${HEX}00`, `02${HEX.slice(2)}`]) expect(bucketOfSerial(Buffer.from(serial, 'hex'))).toBe(-1);
});

test('serialHex and parseSerial are each other reversed', () => {
  const colons = HEX.match(/../g)?.join(':') ?? '';
  for (const text of [HEX, HEX.toUpperCase(), colons, colons.toUpperCase()]) expect(serialHex(parseSerial(text))).toBe(HEX);
});

test('serialHex of a view is of the view alone', () => {
  expect(serialHex(Uint8Array.from([1, 2, 3, 4]).subarray(1, 3))).toBe('0203');
});

test.each(['', '01', HEX.slice(1), `${HEX}0`, `0x${HEX.slice(2)}`, HEX.replace('f', 'g'), `${HEX.slice(0, 38)}:ff`, `:${HEX}`, ` ${HEX}`, `${HEX}\n`, HEX.replaceAll(/../g, '$&:')])(
  'parseSerial refuses "%s"',
  (text) => {
    expect(codeOf(() => parseSerial(text))).toBe('serial-malformed');
  },
);
