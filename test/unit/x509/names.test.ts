import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DerError } from '../../../src/x509/der/reader.ts';
import { oid, sequence, tlv, utf8String } from '../../../src/x509/der/writer.ts';
import { encodeName, nameToString, parseName, type NameAttribute } from '../../../src/x509/names.ts';

const pair = (type: string, value: Buffer) => sequence(oid(type), value);
const rdn = (...pairs: Buffer[]) => tlv(0x31, ...pairs);

test('encodeName gives each attribute its own relative name and its string type', () => {
  const name: NameAttribute[] = [
    { type: 'C', value: 'DE' },
    { type: 'DC', value: 'x' },
    { type: 'CN', value: 'ä' },
  ];
  expect(encodeName(name).toString('hex')).toBe(['302d', '310b3009060355040613024445', '3111300f060a0992268993f22c640119160178', '310b300906035504030c02c3a4'].join(''));
  expect(parseName(encodeName(name))).toEqual(name);
});

test('the empty name is an empty sequence', () => {
  expect(encodeName([]).toString('hex')).toBe('3000');
  expect(parseName(Buffer.of(0x30, 0))).toEqual([]);
});

test('attributes without a short name go by their dotted identifier', () => {
  const name = [{ type: '1.2.3.4', value: 'x' }];
  expect(parseName(encodeName(name))).toEqual(name);
});

test.each<[string, Buffer]>([
  ['no sequence', Buffer.of(0x31, 0)],
  ['octets behind', Buffer.concat([encodeName([]), Buffer.of(0)])],
  ['an empty relative name', sequence(rdn())],
  ['a relative name of two attributes', sequence(rdn(pair('2.5.4.3', utf8String('a')), pair('2.5.4.10', utf8String('b'))))],
  ['an attribute without value', sequence(rdn(sequence(oid('2.5.4.3'))))],
  ['an attribute with two values', sequence(rdn(sequence(oid('2.5.4.3'), utf8String('a'), utf8String('b'))))],
  ['an empty value', sequence(rdn(pair('2.5.4.3', utf8String(''))))],
  ['a BMPString', sequence(rdn(pair('2.5.4.3', tlv(0x1e, Buffer.of(0, 0x41)))))],
])('parseName refuses %s', (_, der) => {
  expect(() => parseName(der)).toThrow(DerError);
});

test.each([
  [[{ type: 'O', value: 'Signet' }, { type: 'CN', value: 'Root' }], 'CN=Root,O=Signet'],
  [[{ type: 'CN', value: 'a,b+c"d\\e<f>g;h' }], 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'],
  [[{ type: 'CN', value: ' a ' }], 'CN=\\ a\\ '],
  [[{ type: 'CN', value: '#a#' }], 'CN=\\#a#'],
  [[{ type: 'CN', value: 'a\nb\u0000' }], 'CN=a\\0ab\\00'],
  [[{ type: 'CN', value: 'a\u2028b' }], 'CN=a\\e2\\80\\a8b'],
  [[{ type: 'CN', value: 'ä' }], 'CN=ä'],
  [[], ''],
])('nameToString writes RFC 4514 text %#', (name, text) => {
  expect(nameToString(name)).toBe(text);
});

test('nameToString writes a single space as one escaped space', () => {
  expect(nameToString([{ type: 'CN', value: ' ' }])).toBe('CN=\\ ');
});

test('any octets give a name or a DerError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (octets, framed) => {
      try {
        const der = framed ? sequence(rdn(sequence(oid('2.5.4.3'), octets))) : octets;
        expect(encodeName(parseName(der)).length).toBeGreaterThan(0);
      } catch (error) {
        if (!(error instanceof DerError)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
});
