import { describe, expect, test } from '@jest/globals';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { DerError } from '../../../src/x509/der/reader.ts';
import { oid, sequence, tlv } from '../../../src/x509/der/writer.ts';
import { parseForeignKeyUsage, parseKeyUsage } from '../../../src/x509/extensions/key-usage.ts';
import { findInForeignCrl, parseForeignCrl } from '../../../src/x509/foreign/crl.ts';
import { isWithinName, parseForeignName } from '../../../src/x509/foreign/name.ts';
import { crlOf, foreign } from '../../support/path-requests.ts';
import { makeIssuing, makeRoot, NOW } from '../../support/test-pki.ts';

const [UTF8, PRINTABLE, T61, BMP, SET] = [0x0c, 0x13, 0x14, 0x1e, 0x31];
const attribute = (id: string, tag: number, value: string | Buffer) => sequence(oid(id), tlv(tag, Buffer.from(value as string)));
const nameOf = (...relative: Buffer[][]) => parseForeignName(sequence(...relative.map((attributes) => tlv(SET, ...attributes))));
const cn = (tag: number, value: string | Buffer) => nameOf([attribute('2.5.4.3', tag, value)]);

describe('names (RFC 5280 §7.1)', () => {
  test('string type, case and white space make no difference', () => {
    const { key } = cn(UTF8, 'Test CA');
    for (const same of [cn(PRINTABLE, 'TEST  ca '), cn(T61, 'test CA'), cn(BMP, Buffer.from('Test CA', 'utf16le').swap16())]) expect(same.key).toBe(key);
    expect(cn(UTF8, 'STRASSE \u00c4').key).toBe(cn(UTF8, 'strasse a\u0308').key);
    for (const other of [cn(UTF8, 'TestCA'), nameOf([attribute('2.5.4.10', UTF8, 'Test CA')])]) expect(other.key).not.toBe(key);
  });

  test('octets of unknown meaning equal themselves only', () => {
    expect(cn(T61, Buffer.from([0xe4])).key).not.toBe(cn(UTF8, '\u00e4').key);
    expect(cn(T61, Buffer.from([0xe4])).key).toBe(cn(T61, Buffer.from([0xe4])).key);
  });

  test('attributes of one relative name have no order, relative names have', () => {
    const [a, b] = [attribute('2.5.4.3', UTF8, 'a'), attribute('2.5.4.10', UTF8, 'b')];
    expect(nameOf([a, b]).key).toBe(nameOf([b, a]).key);
    expect(nameOf([a], [b]).key).not.toBe(nameOf([b], [a]).key);
    expect(nameOf([a, b]).key).not.toBe(nameOf([a], [b]).key);
    expect([isWithinName(nameOf([a], [b]), nameOf([a])), isWithinName(nameOf([a]), nameOf([a], [b])), isWithinName(nameOf([a]), nameOf())]).toEqual([true, false, true]);
  });
});

test('key usage with zero bits at its end is read of others, and never of ours', () => {
  const written = Buffer.from('03020006', 'hex');
  expect(parseForeignKeyUsage(written)).toEqual(['keyCertSign', 'cRLSign']);
  expect(() => parseKeyUsage(written)).toThrow(DerError);
  for (const bad of ['030100', '03020802', '03020706', '0304000680ff']) expect(() => parseForeignKeyUsage(Buffer.from(bad, 'hex'))).toThrow(DerError);
});

test('a certificate of ours reads the same by both readers', () => {
  const { certificate } = makeIssuing(makeRoot());
  const ours = parseCertificate(certificate.der);
  expect(foreign(certificate)).toMatchObject({ der: ours.der, tbs: ours.tbs, serial: ours.serial, notAfter: ours.notAfter, spki: ours.spki, basicConstraints: ours.basicConstraints, keyUsage: ours.keyUsage, subjectKeyIdentifier: ours.subjectKeyIdentifier });
});

test('a list is scanned for serial numbers of every length', () => {
  const root = makeRoot();
  const serials = [Buffer.from('01', 'hex'), Buffer.from('80', 'hex'), Buffer.alloc(20, 0x7f), Buffer.from('0102', 'hex')];
  const list = parseForeignCrl(crlOf(root, { entries: serials.map((serial, i) => ({ serial, revokedAt: NOW, reason: i })) }));
  const found = (hex: string) => findInForeignCrl(list, Buffer.from(hex, 'hex'))?.reason;
  expect([found('01'), found('0080'), found('7f'.repeat(20)), found('0102')]).toEqual([undefined, 1, 2, 3]);
  expect(findInForeignCrl(list, Buffer.from('01', 'hex'))).toMatchObject({ revokedAt: NOW });
  expect([found('80'), found('02'), found('7f'.repeat(19))]).toEqual([undefined, undefined, undefined]);
});
