import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  bitStringBytes, booleanValue, DEFAULT_LIMITS, DerError, integerContent, oidValue, open, smallInteger, stringValue, timeValue, unsignedIntegerBytes, type DerCursor, type DerNode,
} from '../../../../src/x509/der/reader.ts';
import { bitString, generalizedTime, integer, oid, sequence, TAG, time, tlv, unsignedInteger, utf8String } from '../../../../src/x509/der/writer.ts';

const hex = (octets: string): Buffer => Buffer.from(octets.replaceAll(' ', ''), 'hex');
const node = (octets: string | Buffer): DerNode => open(typeof octets === 'string' ? hex(octets) : octets).next();

/** Walks everything there is; the number of elements. */
function walk(cursor: DerCursor): number {
  let count = 0;
  while (!cursor.done) {
    const element = cursor.next();
    count += 1 + (element.tag & 0x20 ? walk(cursor.descend(element)) : 0);
  }
  return count;
}

/** What a reading gives, with DerError as `undefined`; any other exception fails the test. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

describe('DerCursor', () => {
  test('gives tag, content, raw octets, length and offset of each element', () => {
    const cursor = open(hex('30 06 0201 05 0401 ff'));
    const list = cursor.sequence('list');
    cursor.end('input');
    const number = list.expect(TAG.INTEGER, 'number');
    const octets = list.next();
    expect([number.tag, number.content.toString('hex'), number.raw.toString('hex'), number.offset, number.length]).toEqual([2, '05', '020105', 2, 1]);
    expect([octets.tag, octets.content.toString('hex'), octets.raw.toString('hex'), octets.offset]).toEqual([4, 'ff', '0401ff', 5]);
    expect(list.done).toBe(true);
    expect(list.peekTag()).toBeUndefined();
    expect(list.optional(TAG.INTEGER)).toBeUndefined();
  });

  test('its views are of the input, not copies', () => {
    const input = hex('0401 01');
    const { content } = open(input).next();
    input[2] = 9;
    expect(content[0]).toBe(9);
  });

  test('reads DER inside an octet string and keeps outermost offsets', () => {
    const cursor = open(hex('3006 0404 3002 0500'));
    const list = cursor.sequence('outer');
    const inner = list.inside(list.next()).sequence('inner');
    expect(inner.next().offset).toBe(6);
    inner.end('inner');
  });

  test.each([
    ['the tag', '3003 3001 05 00', 'truncated header at octet 4'],
    ['the content', '3005 3002 0401 ff', 'content is truncated at octet 4'],
    ['the length', '3006 3002 0481 8000', 'truncated length at octet 4'],
  ])('a child cannot read past its parent: %s', (_, octets, message) => {
    const list = open(hex(octets)).sequence('outer');
    const inner = list.descend(list.next());
    expect(() => inner.next()).toThrow(message);
  });

  test('an input that starts inside a larger buffer is read from its start', () => {
    const larger = hex('ffff 020105 ffff');
    const cursor = open(larger.subarray(2, 5));
    expect(cursor.next().content.toString('hex')).toBe('05');
    expect(cursor.done).toBe(true);
  });

  test.each([
    ['nothing', '', 'truncated header'],
    ['a lone tag', '30', 'truncated header'],
    ['a multi-octet tag', '1f 81 00 00', 'multi-octet tag'],
    ['indefinite length', '30 80 0000', 'indefinite length'],
    ['a length of five octets', '30 85 0000000001 00', 'more than four octets'],
    ['the reserved length ff', `30 ff ${'00'.repeat(127)}`, 'more than four octets'],
    ['a length cut off', '30 82 01', 'truncated length'],
    ['a long form where the short one does', '04 81 01 00', 'not minimal'],
    ['a leading zero in the length', `04 82 0080 ${'00'.repeat(128)}`, 'not minimal'],
    ['content cut off', '04 02 00', 'content is truncated'],
    ['4 GiB announced', '04 84 ffffffff', 'content is truncated'],
  ])('refuses %s', (_, octets, message) => {
    expect(() => open(hex(octets)).next()).toThrow(message);
    expect(() => open(hex(octets)).next()).toThrow(DerError);
  });

  test('refuses the wrong tag and names both', () => {
    expect(() => open(hex('0500')).expect(TAG.SEQUENCE, 'thing')).toThrow('thing: expected tag 0x30, found 0x5 at octet 0');
    expect(() => open(hex('')).expect(TAG.SEQUENCE, 'thing')).toThrow('found the end');
  });

  test('refuses further octets at the end of a level', () => {
    const cursor = open(hex('0500 00'));
    cursor.next();
    expect(() => cursor.end('thing')).toThrow('thing: unexpected further octets at octet 2');
  });

  test('refuses to descend into a primitive element', () => {
    const cursor = open(hex('0400'));
    expect(() => cursor.descend(cursor.next())).toThrow('expected a constructed element');
  });

  test('limits octets, depth and elements', () => {
    expect(() => open(Buffer.alloc(11), { ...DEFAULT_LIMITS, maxBytes: 10 })).toThrow('more than 10 octets');
    let nested: Buffer = hex('0500');
    for (let i = 0; i < 24; i++) nested = sequence(nested);
    expect(walk(open(nested))).toBe(25);
    expect(() => walk(open(sequence(nested)))).toThrow('nested too deeply');
    const many = Buffer.alloc(2 * 4096, hex('0500'));
    expect(walk(open(many))).toBe(4096);
    expect(() => walk(open(Buffer.concat([many, hex('0500')])))).toThrow('too many elements');
  });
});

describe('values', () => {
  test.each([
    ['00', 0],
    ['7f', 127],
    ['0080', 128],
    ['7fffffff', 0x7fffffff],
  ])('smallInteger of %s', (content, value) => {
    expect(smallInteger(node(tlv(TAG.INTEGER, hex(content))))).toBe(value);
  });

  test.each([
    ['empty', ''],
    ['negative', '80'],
    ['minus one', 'ff'],
    ['a zero too many', '007f'],
    ['a negative one with an octet too many', 'ff80'],
    ['2^31', '0080000000'],
    ['five octets', '0100000000'],
  ])('smallInteger refuses %s', (_, content) => {
    expect(() => smallInteger(node(tlv(TAG.INTEGER, hex(content))))).toThrow(DerError);
  });

  test('integers may be negative where that is asked for', () => {
    expect(integerContent(node('0201 80')).toString('hex')).toBe('80');
  });

  test('unsignedIntegerBytes leaves out the sign octet and nothing else', () => {
    expect(unsignedIntegerBytes(node('020200 ff')).toString('hex')).toBe('ff');
    expect(unsignedIntegerBytes(node('020100')).toString('hex')).toBe('00');
    expect(() => unsignedIntegerBytes(node('0201 ff'))).toThrow('negative');
  });

  test('booleans are 00 or FF', () => {
    expect(booleanValue(node('010100'))).toBe(false);
    expect(booleanValue(node('0101ff'))).toBe(true);
    for (const wrong of ['010101', '0100', '0102ffff']) expect(() => booleanValue(node(wrong))).toThrow(DerError);
  });

  test.each([
    ['octets', '0303 00 0102', false, '0102'],
    ['no bits', '0301 00', false, ''],
    ['named bits', '0302 07 80', true, '80'],
    ['no named bits', '0301 00', true, ''],
  ])('bitStringBytes of %s', (_, octets, named, expected) => {
    expect(bitStringBytes(node(octets), named).toString('hex')).toBe(expected);
  });

  test.each([
    ['no unused-bits octet', '0300', false],
    ['eight unused bits', '0302 08 00', true],
    ['unused bits of nothing', '0301 01', true],
    ['unused bits where octets are wanted', '0302 01 02', false],
    ['padding that is not zero', '0302 01 03', true],
    ['trailing zero bits', '0302 00 02', true],
    ['a trailing zero octet', '0303 00 8000', true],
  ])('bitStringBytes refuses %s', (_, octets, named) => {
    expect(() => bitStringBytes(node(octets), named)).toThrow(DerError);
  });

  test.each(['0.0', '0.39', '1.0', '1.39', '2.0', '2.40', '2.999.3', '1.2.840.113549.1.1.11', '1.3.9007199254740991'])('oidValue reads %s as oid() writes it', (dotted) => {
    expect(oidValue(node(oid(dotted)))).toBe(dotted);
  });

  test.each([
    ['empty', '0600'],
    ['an arc that does not end', '06022a86'],
    ['a padded arc', '06032a8001'],
    ['a padded first arc', '0602802a'],
    ['an arc of 2^53', '06092a' + '9080808080808000'],
    ['more than 32 arcs', `0620${'01'.repeat(32)}`],
    ['more than 128 octets', `06818129${'01'.repeat(128)}`],
  ])('oidValue refuses %s', (_, octets) => {
    expect(() => oidValue(node(octets))).toThrow(DerError);
  });

  test.each([
    [TAG.UTC_TIME, '500101000000Z', '1950-01-01T00:00:00.000Z'],
    [TAG.UTC_TIME, '491231235959Z', '2049-12-31T23:59:59.000Z'],
    [TAG.UTC_TIME, '240229000000Z', '2024-02-29T00:00:00.000Z'],
    [TAG.GENERALIZED_TIME, '20500101000000Z', '2050-01-01T00:00:00.000Z'],
    [TAG.GENERALIZED_TIME, '99991231235959Z', '9999-12-31T23:59:59.000Z'],
    [TAG.GENERALIZED_TIME, '00500101000000Z', '0050-01-01T00:00:00.000Z'],
    [TAG.GENERALIZED_TIME, '20960229000000Z', '2096-02-29T00:00:00.000Z'],
  ])('timeValue of tag %i %s', (tag, text, expected) => {
    expect(timeValue(node(tlv(tag, Buffer.from(text)))).toISOString()).toBe(expected);
  });

  test.each([
    ['without seconds', TAG.UTC_TIME, '2611210000Z'],
    ['with an offset', TAG.UTC_TIME, '261121000000+0100'],
    ['without Z', TAG.UTC_TIME, '261121000000'],
    ['with a small z', TAG.UTC_TIME, '261121000000z'],
    ['with a fraction', TAG.GENERALIZED_TIME, '20500101000000.5Z'],
    ['GeneralizedTime of 2049', TAG.GENERALIZED_TIME, '20491231235959Z'],
    ['four digits in UTCTime', TAG.UTC_TIME, '20261121000000Z'],
    ['two digits in GeneralizedTime', TAG.GENERALIZED_TIME, '261121000000Z'],
    ['a letter', TAG.UTC_TIME, '26112100000aZ'],
    ['a space', TAG.UTC_TIME, '2611 1000000Z'],
    ['month 0', TAG.UTC_TIME, '260021000000Z'],
    ['month 13', TAG.UTC_TIME, '261321000000Z'],
    ['day 0', TAG.UTC_TIME, '261100000000Z'],
    ['31 November', TAG.UTC_TIME, '261131000000Z'],
    ['29 February of a common year', TAG.UTC_TIME, '260229000000Z'],
    ['29 February 2100', TAG.GENERALIZED_TIME, '21000229000000Z'],
    ['hour 24', TAG.UTC_TIME, '261121240000Z'],
    ['minute 60', TAG.UTC_TIME, '261121006000Z'],
    ['second 60', TAG.UTC_TIME, '261121000060Z'],
    ['another tag', TAG.UTF8_STRING, '261121000000Z'],
    ['nothing', TAG.UTC_TIME, ''],
  ])('timeValue refuses %s', (_, tag, text) => {
    expect(() => timeValue(node(tlv(tag, Buffer.from(text))))).toThrow(DerError);
  });

  test('GeneralizedTime before 2050 is for OCSP only', () => {
    expect(timeValue(node(generalizedTime(new Date('2026-11-21T00:00:00Z'))), false).toISOString()).toBe('2026-11-21T00:00:00.000Z');
  });

  test.each([
    [TAG.UTF8_STRING, 'c3a4', 'ä'],
    [TAG.UTF8_STRING, 'efbbbf61', '\ufeffa'],
    [TAG.PRINTABLE_STRING, '41203a3d3f', 'A :=?'],
    [TAG.IA5_STRING, '614062', 'a@b'],
    [0x86, '613a62', 'a:b'],
  ])('stringValue of tag %i %s', (tag, content, expected) => {
    expect(stringValue(node(tlv(tag, hex(content))))).toBe(expected);
  });

  test.each([
    ['overlong UTF-8', TAG.UTF8_STRING, 'c080'],
    ['a surrogate in UTF-8', TAG.UTF8_STRING, 'eda080'],
    ['UTF-8 cut off', TAG.UTF8_STRING, 'c3'],
    ['@ in PrintableString', TAG.PRINTABLE_STRING, '40'],
    ['* in PrintableString', TAG.PRINTABLE_STRING, '2a'],
    ['an octet above 7f in PrintableString', TAG.PRINTABLE_STRING, 'e4'],
    ['an octet above 7f in IA5String', TAG.IA5_STRING, 'e4'],
    ['an octet above 7f in a URI', 0x86, 'e4'],
    ['BMPString', 0x1e, '0041'],
    ['TeletexString', 0x14, '41'],
  ])('stringValue refuses %s', (_, tag, content) => {
    expect(() => stringValue(node(tlv(tag, hex(content))))).toThrow(DerError);
  });
});

describe('fuzz', () => {
  const readers = [smallInteger, unsignedIntegerBytes, integerContent, booleanValue, bitStringBytes, oidValue, timeValue, stringValue, (one: DerNode) => bitStringBytes(one, true)];

  test('any octets give elements within the limits, or a DerError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => (attempt(() => walk(open(octets))) ?? 0) <= octets.length / 2),
      { numRuns: 2000 },
    );
  });

  test('any content under any tag gives a value or a DerError', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }).filter((tag) => (tag & 0x1f) !== 0x1f), fc.uint8Array({ maxLength: 140 }), (tag, content) => {
        const element = node(tlv(tag, content));
        for (const read of readers) attempt(() => read(element));
      }),
      { numRuns: 2000 },
    );
  });

  test('what is read, written again, gives the same octets', () => {
    const number = fc.uint8Array({ minLength: 1, maxLength: 40 });
    const seconds = fc.date({ min: new Date('1950-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true });
    fc.assert(
      fc.property(number, seconds, fc.string({ unit: 'binary' }), (magnitude, when, text) => {
        expect(unsignedInteger(unsignedIntegerBytes(node(unsignedInteger(magnitude)))).equals(unsignedInteger(magnitude))).toBe(true);
        expect(timeValue(node(time(when))).getTime()).toBe(Math.floor(when.getTime() / 1000) * 1000);
        expect(stringValue(node(utf8String(text.toWellFormed())))).toBe(text.toWellFormed());
        expect(bitStringBytes(node(bitString(magnitude))).equals(Buffer.from(magnitude))).toBe(true);
      }),
    );
    fc.assert(fc.property(fc.nat(0x7fffffff), (value) => expect(smallInteger(node(integer(value)))).toBe(value)));
  });

  test('object identifiers that are read, written again, give the same octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (content) => {
        const encoded = tlv(TAG.OID, content);
        const dotted = attempt(() => oidValue(node(encoded)));
        if (dotted !== undefined) expect(oid(dotted).equals(encoded)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
