import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { assembleCrl, CRL_PART_BYTES, encodeTbsCertList, frameCrl, parseCrl, TbsCertListWriter, type CrlEntry, type CrlFields } from '../../../src/x509/crl.ts';
import { DerError } from '../../../src/x509/der/reader.ts';
import { generalizedTime, integer, sequence, time } from '../../../src/x509/der/writer.ts';
import { encodeAuthorityKeyIdentifier } from '../../../src/x509/extensions/authority-key-identifier.ts';
import { encodeCrlNumber } from '../../../src/x509/extensions/crl-number.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { verifySignature } from '../../../src/x509/public-key.ts';
import { grownAtEachLevel } from '../../support/der-growth.ts';
import { makeIssuing, makeLeaf, makeRoot, NOW } from '../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);

const fields = (number = 7n): CrlFields => ({
  issuerName: issuing.name,
  signatureAlgorithm: issuing.key.algorithm,
  thisUpdate: NOW,
  nextUpdate: new Date(NOW.getTime() + 14_400_000),
  extensions: [encodeAuthorityKeyIdentifier(issuing.key.keyIdentifier), encodeCrlNumber(number)],
});
const signed = (list: CrlFields, entries: Iterable<CrlEntry>): Buffer => {
  const tbs = encodeTbsCertList({ ...list, entries });
  return assembleCrl(tbs, list.signatureAlgorithm, issuing.key.sign(tbs));
};
const entry = (serial: string, reason?: number, revokedAt = NOW): CrlEntry => ({ serial: Buffer.from(serial, 'hex'), revokedAt, reason });

const ENTRIES = [entry('01', 1), entry('80'), entry('00ff', 0, new Date('2049-12-31T23:59:59Z')), entry('7f'.repeat(20), 6, new Date('2050-01-01T00:00:00Z')), entry('ff'.repeat(20), 5)];

describe('encodeTbsCertList', () => {
  test('a list with every shape of entry has exactly these octets', () => {
    const tbs = encodeTbsCertList({ ...fields(), extensions: [encodeCrlNumber(7n)], entries: ENTRIES });
    expect(tbs.toString('hex')).toBe(
      [
        '30820110020101', // SEQUENCE, v2
        '300506032b6570', // Ed25519
        '301a311830160603550403' + '0c0f' + Buffer.from('Test Issuing CA').toString('hex'),
        '170d3236313132313030303030305a', // thisUpdate
        '170d3236313132313034303030305a', // nextUpdate
        '3081b9',
        '3020020101170d3236313132313030303030305a300c300a0603551d1504030a0101',
        '301302020080170d3236313132313030303030305a',
        '3013020200ff170d3439313233313233353935395a',
        `30350214${'7f'.repeat(20)}180f32303530303130313030303030305a300c300a0603551d1504030a0106`,
        `3034021500${'ff'.repeat(20)}170d3236313132313030303030305a300c300a0603551d1504030a0105`,
        'a00e300c300a0603551d1404030201' + '07',
      ].join(''),
    );
  });

  test('without entries revokedCertificates is left out', () => {
    const list = parseCrl(signed(fields(), []));
    expect([...list.entries()]).toEqual([]);
    expect(list.tbs).toEqual(
      encodeTbsCertList({ ...fields(), entries: new Set<CrlEntry>() }),
    );
    expect(list.tbs.includes(Buffer.concat([time(fields().nextUpdate), Buffer.from([0xa0])]))).toBe(true);
  });

  test('a list of several parts reads as one, each entry whole and in its place', () => {
    // Times of two days and both forms, serials with and without sign octet, with reason and without.
    const times = [new Date('2026-11-21T23:59:59.999Z'), new Date('2026-11-22T00:00:00Z'), new Date('2050-01-01T12:34:56Z'), new Date('1949-12-31T23:59:59Z')];
    const many = Array.from({ length: 60_000 }, (_, i) => entry((0x7f000000 + i * 300).toString(16), i % 6, times[i % 4]));
    const writer = new TbsCertListWriter(fields());
    const taken: Buffer[] = [];
    for (const one of many) {
      writer.add(one);
      taken.push(...writer.takeFull());
    }
    expect(writer.count).toBe(60_000);
    const { head, entries, tail } = writer.finish();
    expect(taken.length).toBeGreaterThan(1);
    expect([...taken, ...entries].every((part) => part.length <= CRL_PART_BYTES)).toBe(true);
    const tbs = Buffer.concat([head, ...taken, ...entries, tail]);
    const { before, behind } = frameCrl(tbs.length, fields().signatureAlgorithm, Buffer.alloc(72));
    const list = parseCrl(Buffer.concat([before, tbs, behind]));
    expect(list.tbs.equals(tbs)).toBe(true);
    let n = 0;
    for (const { serial, revokedAt, reason } of list.entries()) {
      const wanted = many[n++];
      if (serial.toString('hex') !== Buffer.from(wanted?.serial ?? []).toString('hex') || revokedAt.getTime() !== Math.floor((wanted?.revokedAt.getTime() ?? 0) / 1000) * 1000 || (reason ?? 0) !== wanted?.reason) throw new Error(`entry ${n} is another one`);
    }
    expect(n).toBe(60_000);
  });

  test.each([
    ['reason 7, which is not used', entry('01', 7)],
    ['a reason out of range', entry('01', 11)],
    ['a fractional reason', entry('01', 1.5)],
    ['an empty serial', entry('')],
    ['a serial of 21 octets', entry('01'.repeat(21))],
    ['an invalid time', entry('01', 1, new Date(Number.NaN))],
  ])('refuses %s', (_, bad) => {
    expect(() => encodeTbsCertList({ ...fields(), entries: [bad] })).toThrow(RangeError);
  });

  test('a refused entry leaves no octet behind', () => {
    const writer = new TbsCertListWriter(fields());
    writer.add(entry('01', 1));
    expect(() => writer.add(entry('02', 1, new Date(Number.NaN)))).toThrow(RangeError);
    writer.add(entry('03', 1));
    const { head, entries, tail } = writer.finish();
    expect(Buffer.concat([head, ...entries, tail])).toEqual(encodeTbsCertList({ ...fields(), entries: [entry('01', 1), entry('03', 1)] }));
  });

  test('a finished writer takes nothing more', () => {
    const writer = new TbsCertListWriter(fields());
    writer.finish();
    expect(() => writer.add(entry('01'))).toThrow(RangeError);
    expect(() => writer.finish()).toThrow(RangeError);
  });
});

describe('parseCrl', () => {
  test('reads back what was encoded', () => {
    const list = parseCrl(signed(fields(12345678901234567890n), ENTRIES));
    expect(list.crlNumber).toBe(12345678901234567890n);
    expect(list.issuerName.equals(issuing.name)).toBe(true);
    expect([list.thisUpdate, list.nextUpdate]).toEqual([fields().thisUpdate, fields().nextUpdate]);
    expect(verifySignature(issuing.key.spki, list.signatureAlgorithm, list.tbs, list.signature)).toBe(true);
    expect([...list.entries()].map(({ serial, reason, revokedAt }) => [serial.toString('hex'), reason, revokedAt.toISOString()])).toEqual([
      ['01', 1, '2026-11-21T00:00:00.000Z'],
      ['80', undefined, '2026-11-21T00:00:00.000Z'],
      ['ff', undefined, '2049-12-31T23:59:59.000Z'],
      ['7f'.repeat(20), 6, '2050-01-01T00:00:00.000Z'],
      ['ff'.repeat(20), 5, '2026-11-21T00:00:00.000Z'],
    ]);
  });

  test('entries are read only as they are asked for', () => {
    const der = signed(fields(), [entry('01', 1), entry('02', 1)]);
    der[der.indexOf(Buffer.from('3020020102', 'hex')) + 2] = 0x04;
    const entries = parseCrl(der).entries();
    expect(entries.next().value?.serial).toEqual(Buffer.of(1));
    expect(() => entries.next()).toThrow(DerError);
  });

  const tbsOf = (...parts: Buffer[]) => {
    const tbs = sequence(...parts);
    return assembleCrl(tbs, issuing.key.algorithm, issuing.key.sign(tbs));
  };
  const { algorithm } = issuing.key;
  test.each([
    ['version 1', tbsOf(algorithm, issuing.name, time(NOW), time(NOW))],
    ['version 3', tbsOf(integer(2), algorithm, issuing.name, time(NOW), time(NOW))],
    ['another algorithm outside', assembleCrl(encodeTbsCertList({ ...fields(), entries: [] }), sequence(Buffer.from('06032b6571', 'hex')), Buffer.alloc(64))],
    ['an empty revokedCertificates', tbsOf(integer(1), algorithm, issuing.name, time(NOW), time(NOW), sequence())],
    ['GeneralizedTime before 2050', tbsOf(integer(1), algorithm, issuing.name, generalizedTime(NOW), time(NOW))],
    ['trailing octets', Buffer.concat([signed(fields(), ENTRIES), Buffer.of(0)])],
    ['a truncated list', signed(fields(), ENTRIES).subarray(0, -1)],
    ['nothing', Buffer.alloc(0)],
  ])('refuses %s', (_, der) => {
    expect(() => parseCrl(der)).toThrow(DerError);
  });

  test('refuses an element more at every level, but for the octets it keeps', () => {
    const grown = grownAtEachLevel(signed(fields(), ENTRIES));
    const accepted = grown.filter(({ der }) => {
      try {
        return [...parseCrl(der).entries()].length === ENTRIES.length;
      } catch (error) {
        if (!(error instanceof DerError)) throw error;
        return false;
      }
    });
    // 0.0.2 is the issuer's Name.
    expect(accepted.map(({ path }) => path)).toEqual(['0.0.2', '0.0.2.0', '0.0.2.0.0']);
  });

  test('refuses more octets than its limit', () => {
    expect(() => parseCrl(signed(fields(), ENTRIES), { maxBytes: 100, maxDepth: 24, maxElements: 100 })).toThrow(DerError);
  });

  test('any octets, and any one changed octet, give a list or a DerError', () => {
    const good = signed(fields(), ENTRIES);
    const read = (der: Uint8Array) => {
      try {
        return [...parseCrl(der).entries()].length;
      } catch (error) {
        if (error instanceof DerError) return -1;
        throw error;
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (der) => read(der) >= -1));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, octet) => {
        const changed = Buffer.from(good);
        changed[at] = octet;
        return read(changed) >= -1;
      }),
      { numRuns: 500 },
    );
  });
});

describe('other programs', () => {
  const leaf = makeLeaf(issuing);
  const der = signed(fields(), [{ serial: leaf.certificate.serial, revokedAt: NOW, reason: 1 }, ...ENTRIES]);

  test('pkijs reads the same list', () => {
    const list = pkijs.CertificateRevocationList.fromBER(Uint8Array.from(der));
    expect(list.revokedCertificates?.map((one) => Buffer.from(one.userCertificate.valueBlock.valueHexView).toString('hex'))).toEqual([
      leaf.certificate.serial.toString('hex'),
      '01',
      '0080',
      '00ff',
      '7f'.repeat(20),
      `00${'ff'.repeat(20)}`,
    ]);
    expect(list.nextUpdate?.value).toEqual(fields().nextUpdate);
    expect(Buffer.from((list.toSchema(true) as { toBER(): ArrayBuffer }).toBER()).equals(der)).toBe(true);
  });

  test('openssl verifies the list, and refuses with it the certificate it revokes and no other', () => {
    const dir = mkdtempSync(join(tmpdir(), 'signet-crl-'));
    try {
      const file = (name: string, label: 'X509 CRL' | 'CERTIFICATE', bytes: Buffer) => {
        writeFileSync(join(dir, name), encodePem(label, bytes));
        return join(dir, name);
      };
      const crl = file('crl.pem', 'X509 CRL', der);
      const ca = file('root.pem', 'CERTIFICATE', root.certificate.der);
      const sub = file('issuing.pem', 'CERTIFICATE', issuing.certificate.der);
      const run = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
      const text = run('crl', '-in', crl, '-noout', '-text', '-nameopt', 'RFC2253');
      expect(text).toMatch(/Version 2[\s\S]*CN=Test Issuing CA[\s\S]*X509v3 CRL Number: \n\s+7\n/);
      expect(text).toMatch(/Key Compromise/);
      expect(run('crl', '-in', crl, '-noout', '-CAfile', sub)).toBe('');
      const check = (certificate: Buffer) =>
        run('verify', '-attime', String(NOW.getTime() / 1000), '-crl_check', '-CRLfile', crl, '-CAfile', ca, '-untrusted', sub, file('leaf.pem', 'CERTIFICATE', certificate));
      expect(check(makeLeaf(issuing, 'Other Agent').certificate.der)).toMatch(/leaf.pem: OK/);
      expect(() => check(leaf.certificate.der)).toThrow(/certificate revoked/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
