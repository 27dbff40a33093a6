import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DerError, open } from '../../../../src/x509/der/reader.ts';
import { encodeAuthorityInformationAccess, parseAuthorityInformationAccess } from '../../../../src/x509/extensions/authority-information-access.ts';
import { encodeAuthorityKeyIdentifier, parseAuthorityKeyIdentifier } from '../../../../src/x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints, parseBasicConstraints } from '../../../../src/x509/extensions/basic-constraints.ts';
import { encodeCrlDistributionPoints, parseCrlDistributionPoints } from '../../../../src/x509/extensions/crl-distribution-points.ts';
import { encodeCrlNumber, parseCrlNumber } from '../../../../src/x509/extensions/crl-number.ts';
import { encodeExtendedKeyUsage, parseExtendedKeyUsage } from '../../../../src/x509/extensions/extended-key-usage.ts';
import { DuplicateExtensionError, encodeExtensions, parseExtensions, type Extension } from '../../../../src/x509/extensions/extension.ts';
import { encodeIssuingDistributionPoint, parseIssuingDistributionPoint } from '../../../../src/x509/extensions/issuing-distribution-point.ts';
import { encodeKeyUsage, parseKeyUsage } from '../../../../src/x509/extensions/key-usage.ts';
import { encodeNameConstraints } from '../../../../src/x509/extensions/name-constraints.ts';
import { encodeNoRevAvail } from '../../../../src/x509/extensions/no-rev-avail.ts';
import { encodeOcspNoCheck } from '../../../../src/x509/extensions/ocsp-nocheck.ts';
import { parseReasonCode } from '../../../../src/x509/extensions/reason-code.ts';
import { encodeSubjectAlternativeName, parseSubjectAlternativeName } from '../../../../src/x509/extensions/subject-alternative-name.ts';
import { encodeSubjectKeyIdentifier, parseSubjectKeyIdentifier } from '../../../../src/x509/extensions/subject-key-identifier.ts';

const hex = (octets: string): Buffer => Buffer.from(octets.replaceAll(' ', ''), 'hex');
const shown = ({ oid, critical, value }: Extension) => ({ oid, critical, value: value.toString('hex') });

const URI_C = '8608 687474703a2f2f63'; // http://c
const URI_O = '8608 687474703a2f2f6f'; // http://o
const URI_I = '8608 687474703a2f2f69'; // http://i
const IPV6 = '20010db8000000000000000000000001';

describe('encoders, byte by byte', () => {
  test.each<[string, Extension, string, boolean, string]>([
    ['basic constraints of an end entity', encodeBasicConstraints({ ca: false }), '2.5.29.19', false, '3000'],
    ['basic constraints of a CA', encodeBasicConstraints({ ca: true }), '2.5.29.19', true, '3003 0101ff'],
    ['basic constraints with path length 0', encodeBasicConstraints({ ca: true, pathLength: 0 }), '2.5.29.19', true, '3006 0101ff 020100'],
    ['basic constraints with path length 200', encodeBasicConstraints({ ca: true, pathLength: 200 }), '2.5.29.19', true, '3007 0101ff 020200c8'],
    ['key usage of an end entity', encodeKeyUsage(['digitalSignature']), '2.5.29.15', true, '0302 0780'],
    ['key usage of a CA', encodeKeyUsage(['keyCertSign', 'cRLSign']), '2.5.29.15', true, '0302 0106'],
    ['key usage with the ninth bit', encodeKeyUsage(['keyAgreement', 'decipherOnly']), '2.5.29.15', true, '0303 070880'],
    ['extended key usage of a leaf', encodeExtendedKeyUsage(['clientAuth', 'serverAuth']), '2.5.29.37', false, '3014 06082b06010505070302 06082b06010505070301'],
    ['extended key usage of a responder', encodeExtendedKeyUsage(['OCSPSigning']), '2.5.29.37', false, '300a 06082b06010505070309'],
    ['subject key identifier', encodeSubjectKeyIdentifier(hex('010203')), '2.5.29.14', false, '0403 010203'],
    ['authority key identifier', encodeAuthorityKeyIdentifier(hex('010203')), '2.5.29.35', false, '3005 8003 010203'],
    [
      'subject alternative name',
      encodeSubjectAlternativeName({ uris: ['spiffe://a/b'], dnsNames: ['x.y'], ipAddresses: ['127.0.0.1', '2001:db8::1'] }, false),
      '2.5.29.17',
      false,
      `302b 860c7370696666653a2f2f612f62 8203782e79 87047f000001 8710${IPV6}`,
    ],
    ['critical subject alternative name', encodeSubjectAlternativeName({ uris: [], dnsNames: ['x.y'] }, true), '2.5.29.17', true, '3005 8203782e79'],
    ['CRL distribution points', encodeCrlDistributionPoints(['http://c']), '2.5.29.31', false, `3010 300e a00c a00a ${URI_C}`],
    [
      'authority information access',
      encodeAuthorityInformationAccess({ ocsp: ['http://o'], caIssuers: ['http://i'] }),
      '1.3.6.1.5.5.7.1.1',
      false,
      `302c 3014 06082b06010505073001 ${URI_O} 3014 06082b06010505073002 ${URI_I}`,
    ],
    ['name constraints', encodeNameConstraints({ permittedUris: ['a.b'] }, true), '2.5.29.30', true, '3009 a007 3005 8603612e62'],
    ['noRevAvail', encodeNoRevAvail(), '2.5.29.56', false, '0500'],
    ['ocsp-nocheck', encodeOcspNoCheck(), '1.3.6.1.5.5.7.48.1.5', false, '0500'],
    ['CRL number', encodeCrlNumber(7n), '2.5.29.20', false, '020107'],
    ['CRL number beyond 64 bits', encodeCrlNumber(1n << 64n), '2.5.29.20', false, '0209 010000000000000000'],
    ['issuing distribution point', encodeIssuingDistributionPoint({ uris: ['http://c'] }), '2.5.29.28', true, `300e a00c a00a ${URI_C}`],
  ])('%s', (_, extension, oid, critical, value) => {
    expect(shown(extension)).toEqual({ oid, critical, value: value.replaceAll(' ', '') });
  });

  test('critical is left out where false', () => {
    expect(encodeExtensions([encodeKeyUsage(['digitalSignature']), encodeNoRevAvail()]).toString('hex')).toBe(
      `301b${'300e0603551d0f0101ff040403020780'}${'30090603551d3804020500'}`,
    );
  });

  test('what cannot be written is refused', () => {
    expect(() => encodeBasicConstraints({ ca: false, pathLength: 0 })).toThrow(RangeError);
    expect(() => encodeSubjectAlternativeName({ uris: ['spiffe://ä/b'], dnsNames: [] }, false)).toThrow(RangeError);
    expect(() => encodeSubjectAlternativeName({ uris: [], dnsNames: ['x\u0142.y'] }, false)).toThrow(RangeError);
    for (const address of ['127.0.0', 'localhost', 'fe80::1%eth0', '']) {
      expect(() => encodeSubjectAlternativeName({ uris: [], dnsNames: [], ipAddresses: [address] }, false)).toThrow(RangeError);
    }
  });
});

describe('parsers', () => {
  test('read what the encoders wrote', () => {
    expect(parseBasicConstraints(encodeBasicConstraints({ ca: true, pathLength: 3 }).value)).toEqual({ ca: true, pathLength: 3 });
    expect(parseBasicConstraints(encodeBasicConstraints({ ca: false }).value)).toEqual({ ca: false, pathLength: undefined });
    expect(parseKeyUsage(encodeKeyUsage(['cRLSign', 'decipherOnly', 'digitalSignature']).value)).toEqual(['digitalSignature', 'cRLSign', 'decipherOnly']);
    expect(parseExtendedKeyUsage(encodeExtendedKeyUsage(['OCSPSigning', 'anyExtendedKeyUsage']).value)).toEqual(['OCSPSigning', 'anyExtendedKeyUsage']);
    expect(parseSubjectKeyIdentifier(encodeSubjectKeyIdentifier(hex('0102')).value).toString('hex')).toBe('0102');
    expect(parseAuthorityKeyIdentifier(encodeAuthorityKeyIdentifier(hex('0102')).value)?.toString('hex')).toBe('0102');
    expect(parseCrlNumber(encodeCrlNumber(1n << 70n).value)).toBe(1n << 70n);
    expect(parseCrlDistributionPoints(encodeCrlDistributionPoints(['http://a', 'http://b']).value)).toEqual(['http://a', 'http://b']);
    expect(parseIssuingDistributionPoint(encodeIssuingDistributionPoint({ uris: ['http://a'] }).value)).toEqual({
      uris: ['http://a'],
      onlyContainsUserCerts: false,
      onlyContainsCaCerts: false,
      restricted: false,
    });
    expect(parseAuthorityInformationAccess(encodeAuthorityInformationAccess({ ocsp: ['http://o'], caIssuers: ['http://i'] }).value)).toEqual({
      ocsp: ['http://o'],
      caIssuers: ['http://i'],
    });
    const names = { uris: ['spiffe://a/b'], dnsNames: ['x.y', 'z'], ipAddresses: ['10.0.0.1', '::', '2001:db8::1:0:0:1'] };
    expect(parseSubjectAlternativeName(encodeSubjectAlternativeName(names, false).value)).toEqual({ ...names, others: 0 });
  });

  test.each(['0.0.0.0', '255.255.255.255', '::1', '1::', 'fe80::1:2', '1:2:3:4:5:6:7:8', '2001:db8::1:0:0:1'])('IP address %s comes back as it was written', (address) => {
    const { value } = encodeSubjectAlternativeName({ uris: [], dnsNames: [], ipAddresses: [address] }, false);
    expect(parseSubjectAlternativeName(value).ipAddresses).toEqual([address]);
  });

  test('an IPv4-mapped address is written as 16 octets', () => {
    expect(encodeSubjectAlternativeName({ uris: [], dnsNames: [], ipAddresses: ['::ffff:127.0.0.1'] }, false).value.toString('hex')).toBe(`30128710${'00'.repeat(10)}ffff7f000001`);
  });

  test('read over what others may write and we do not', () => {
    expect(parseExtendedKeyUsage(hex('3005 06032a0304'))).toEqual(['1.2.3.4']);
    // keyIdentifier, authorityCertIssuer, authorityCertSerialNumber
    expect(parseAuthorityKeyIdentifier(hex('300b 800101 a103 820178 820101'))?.toString('hex')).toBe('01');
    expect(parseAuthorityKeyIdentifier(hex('3000'))).toBeUndefined();
    // e-mail, directory name, otherName, registered id
    expect(parseSubjectAlternativeName(hex('3010 8103614062 a4023000 a0020500 8801 2a'))).toEqual({ uris: [], dnsNames: [], ipAddresses: [], others: 4 });
    // a distribution point of a CRL issuer only, and one relative to the issuer
    expect(parseCrlDistributionPoints(hex('3006 3004 a202 8200'))).toEqual([]);
    expect(parseCrlDistributionPoints(hex('3006 3004 a002 a100'))).toEqual([]);
    expect(parseAuthorityInformationAccess(hex('300c 300a 06022a03 a404 3002 3100'))).toEqual({ ocsp: [], caIssuers: [] });
    expect(parseIssuingDistributionPoint(hex('3003 8101ff'))).toMatchObject({ uris: [], onlyContainsUserCerts: true, onlyContainsCaCerts: false, restricted: false });
    expect(parseIssuingDistributionPoint(hex('3006 8201ff 8401ff'))).toMatchObject({ onlyContainsCaCerts: true, restricted: true });
    expect(parseIssuingDistributionPoint(hex('3004 83020640')).restricted).toBe(true);
  });

  test.each<[string, (value: Buffer) => unknown, string]>([
    ['basic constraints with cA FALSE written out', parseBasicConstraints, '3003 010100'],
    ['basic constraints with a path length and no cA', parseBasicConstraints, '3003 020100'],
    ['basic constraints with a negative path length', parseBasicConstraints, '3006 0101ff 0201ff'],
    ['basic constraints with something behind', parseBasicConstraints, '3005 0101ff 0500'],
    ['basic constraints with octets behind', parseBasicConstraints, '3000 00'],
    ['key usage of no bits', parseKeyUsage, '030100'],
    ['key usage with trailing zeros', parseKeyUsage, '0302 0680'],
    ['key usage with a tenth bit', parseKeyUsage, '0303 068040'],
    ['key usage of three octets', parseKeyUsage, '0304 07000080'],
    ['extended key usage of no purposes', parseExtendedKeyUsage, '3000'],
    ['extended key usage of something else', parseExtendedKeyUsage, '3002 0500'],
    ['subject key identifier of another type', parseSubjectKeyIdentifier, '0500'],
    ['authority key identifier with an unknown field', parseAuthorityKeyIdentifier, '3002 8300'],
    ['alternative name of no names', parseSubjectAlternativeName, '3000'],
    ['alternative name with an unknown kind', parseSubjectAlternativeName, '3002 8900'],
    ['alternative name with a URI outside ASCII', parseSubjectAlternativeName, '3003 8601ff'],
    ['alternative name with an address of five octets', parseSubjectAlternativeName, '3007 87050102030405'],
    ['CRL distribution points of none', parseCrlDistributionPoints, '3000'],
    ['CRL distribution point with an unknown field', parseCrlDistributionPoints, '3004 3002 8300'],
    ['CRL distribution point of an unknown name', parseCrlDistributionPoints, '3006 3004 a002 a200'],
    ['authority information access of none', parseAuthorityInformationAccess, '3000'],
    ['authority information access without location', parseAuthorityInformationAccess, '3006 3004 06022a03'],
    ['issuing distribution point with a FALSE written out', parseIssuingDistributionPoint, '3003 810100'],
    ['CRL number below zero', parseCrlNumber, '0201ff'],
    ['CRL number of 21 octets', parseCrlNumber, `0215 01${'00'.repeat(20)}`],
    ['reason 7', parseReasonCode, '0a0107'],
    ['reason 11', parseReasonCode, '0a010b'],
    ['reason as an integer', parseReasonCode, '020101'],
  ])('refuse %s', (_, parse, value) => {
    expect(() => parse(hex(value))).toThrow(DerError);
  });

  test('any octets give a value or a DerError', () => {
    const parsers: ((value: Buffer) => unknown)[] = [
      parseBasicConstraints, parseKeyUsage, parseExtendedKeyUsage, parseSubjectKeyIdentifier, parseAuthorityKeyIdentifier, parseSubjectAlternativeName,
      parseCrlDistributionPoints, parseAuthorityInformationAccess, parseIssuingDistributionPoint, parseCrlNumber, parseReasonCode, (value) => parseExtensions(open(value)),
    ];
    const good = [
      encodeBasicConstraints({ ca: true, pathLength: 1 }), encodeKeyUsage(['decipherOnly']), encodeExtendedKeyUsage(['clientAuth']), encodeCrlDistributionPoints(['http://c']),
      encodeSubjectAlternativeName({ uris: ['a:b'], dnsNames: ['c'], ipAddresses: ['::1'] }, false), encodeAuthorityInformationAccess({ ocsp: ['http://o'] }), encodeIssuingDistributionPoint({ uris: ['http://c'] }),
    ].map(({ value }) => value);
    const oneChanged = fc.tuple(fc.constantFrom(...good), fc.nat(), fc.nat(255)).map(([value, at, octet]) => {
      const changed = Buffer.from(value);
      changed[at % changed.length] = octet;
      return changed;
    });
    fc.assert(
      fc.property(fc.oneof(oneChanged, fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets))), (value) => {
        for (const parse of parsers) {
          try {
            parse(value);
          } catch (error) {
            if (!(error instanceof DerError)) throw error;
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('parseExtensions', () => {
  const read = (octets: string) => parseExtensions(open(hex(octets)));

  test('reads identifier, criticality and value', () => {
    expect(read('3018 300b 06022a03 0101ff 0402 0500 3009 06032a0304 0402 0500').map(shown)).toEqual([
      { oid: '1.2.3', critical: true, value: '0500' },
      { oid: '1.2.3.4', critical: false, value: '0500' },
    ]);
  });

  test.each([
    ['none', '3000'],
    ['critical FALSE written out', '300d 300b 06022a03 010100 0402 0500'],
    ['no value', '3006 3004 06022a03'],
    ['a value that is no octet string', '3008 3006 06022a03 0500'],
    ['something behind the value', '300c 300a 06022a03 0402 0500 0500'],
    ['something behind the list', '300a 3008 06022a03 0402 0500 0500'],
  ])('refuses %s', (_, octets) => {
    expect(() => read(octets)).toThrow(DerError);
  });

  test('says so when one comes twice', () => {
    expect(() => read('3014 3008 06022a03 0402 0500 3008 06022a03 0402 0500')).toThrow(DuplicateExtensionError);
  });
});
