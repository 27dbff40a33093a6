import { expect, test } from '@jest/globals';
import {
  bitString, boolean, context, contextPrimitive, enumerated, generalizedTime, header, ia5String, integer, layer, namedBits, nullValue, octetString, oid, printableString,
  sequence, setOf, TAG, time, tlv, unsignedInteger, utf8String, writeLayers,
} from '../../../../src/x509/der/writer.ts';

const hex = (octets: string): Buffer => Buffer.from(octets.replaceAll(' ', ''), 'hex');
const at = (text: string): Date => new Date(text);

test.each<[string, Buffer, string]>([
  ['boolean TRUE', boolean(true), '0101ff'],
  ['boolean FALSE', boolean(false), '010100'],
  ['integer 0', integer(0), '020100'],
  ['integer 127', integer(127), '02017f'],
  ['integer 128 with a sign octet', integer(128), '02020080'],
  ['integer 256', integer(256), '02020100'],
  ['integer 2^64', integer(1n << 64n), '0209010000000000000000'],
  ['unsignedInteger without leading zeros', unsignedInteger(hex('0000 7f')), '02017f'],
  ['unsignedInteger with a sign octet', unsignedInteger(hex('00 ff')), '020200ff'],
  ['unsignedInteger of nothing', unsignedInteger(hex('')), '020100'],
  ['unsignedInteger of zeros', unsignedInteger(hex('0000')), '020100'],
  ['enumerated', enumerated(6), '0a0106'],
  ['NULL', nullValue(), '0500'],
  ['octet string', octetString(hex('0102')), '04020102'],
  ['bit string', bitString(hex('0102')), '0303000102'],
  ['bit string with unused bits', bitString(hex('80'), 7), '03020780'],
  ['named bits without any', namedBits([]), '030100'],
  ['named bit 0', namedBits([0]), '03020780'],
  ['named bits 6 and 5', namedBits([6, 5]), '03020106'],
  ['named bit 7 leaves none unused', namedBits([7]), '03020001'],
  ['named bit 8 in a second octet', namedBits([8]), '0303070080'],
  ['object identifier 1.2.840.113549', oid('1.2.840.113549'), '06062a864886f70d'],
  ['object identifier 2.999.3', oid('2.999.3'), '0603883703'],
  ['object identifier with an arc above 2^32', oid('1.3.1099511627776'), '06072ba08080808000'],
  ['UTF8String', utf8String('ä'), '0c02c3a4'],
  ['PrintableString', printableString('DE'), '13024445'],
  ['IA5String', ia5String('a@b'), '1603614062'],
  ['sequence', sequence(nullValue(), boolean(true)), '300505000101ff'],
  ['set, sorted by encoding', setOf(integer(3), integer(1), nullValue()), '3108020101020103 0500'],
  ['explicit context tag', context(3, nullValue()), 'a3020500'],
  ['implicit context tag', contextPrimitive(6, hex('61')), '860161'],
])('%s', (_, encoded, expected) => {
  expect(encoded.toString('hex')).toBe(expected.replaceAll(' ', ''));
});

test.each<[number, string]>([
  [0, '3000'],
  [0x7f, '307f'],
  [0x80, '308180'],
  [0xff, '3081ff'],
  [0x100, '30820100'],
  [0xffff, '3082ffff'],
  [0x10000, '3083010000'],
  [0xffffff, '3083ffffff'],
  [0x1000000, '308401000000'],
  [0xffffffff, '3084ffffffff'],
])('the header of %i content octets is minimal', (length, expected) => {
  expect(header(TAG.SEQUENCE, length).toString('hex')).toBe(expected);
});

test('tlv concatenates its parts behind one header', () => {
  const encoded = tlv(TAG.OCTET_STRING, Buffer.alloc(200, 1), Buffer.alloc(0), Buffer.alloc(100, 2));
  expect(encoded.equals(Buffer.concat([hex('0482012c'), Buffer.alloc(200, 1), Buffer.alloc(100, 2)]))).toBe(true);
});

test.each<[string, Buffer, string]>([
  ['UTCTime of 1950', time(at('1950-01-01T00:00:00Z')), '170d3530303130313030303030305a'],
  ['UTCTime of the last second of 2049', time(at('2049-12-31T23:59:59Z')), '170d3439313233313233353935395a'],
  ['GeneralizedTime from 2050', time(at('2050-01-01T00:00:00Z')), '180f32303530303130313030303030305a'],
  ['GeneralizedTime before 1950', time(at('1949-12-31T23:59:59Z')), '180f31393439313233313233353935395a'],
  ['a fraction of a second left out', time(at('2026-11-21T01:02:03.999Z')), '170d3236313132313031303230335a'],
  ['GeneralizedTime when asked for', generalizedTime(at('2026-11-21T00:00:00Z')), '180f32303236313132313030303030305a'],
  ['GeneralizedTime of year 7', generalizedTime(at('0007-01-01T00:00:00Z')), '180f30303037303130313030303030305a'],
])('%s', (_, encoded, expected) => {
  expect(encoded.toString('hex')).toBe(expected);
});

test.each([new Date(NaN), at('+010000-01-01T00:00:00Z'), at('-000001-01-01T00:00:00Z')])('no GeneralizedTime for %s', (when) => {
  expect(() => generalizedTime(when)).toThrow(RangeError);
});

test.each(['', '1', '3.1', '1.40', '1.2.x', '1.2.', '1..2', '1.-2', '1.2.9007199254740992'])('no object identifier for "%s"', (dotted) => {
  expect(() => oid(dotted)).toThrow(RangeError);
});

test('more object identifiers than are remembered are encoded all the same', () => {
  const seen = new Set(Array.from({ length: 600 }, (_, i) => oid(`1.3.6.1.4.1.99999.${i}`).toString('hex')));
  expect(seen.size).toBe(600);
  expect(oid('1.3.6.1.4.1.99999.599').toString('hex')).toBe('060a2b06010401868d1f8457');
});

test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])('layers around %d octets are what nested TLVs are', (length) => {
  const content = Buffer.alloc(length, 0x5a);
  const layers = layer(TAG.SEQUENCE, nullValue(), layer(0xa0, layer(TAG.OCTET_STRING, content), layer(TAG.SEQUENCE)), boolean(true));
  expect(writeLayers(layers).equals(sequence(nullValue(), context(0, octetString(content), sequence()), boolean(true)))).toBe(true);
});
