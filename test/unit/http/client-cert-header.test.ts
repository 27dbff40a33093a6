import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SignetError } from '../../../src/core/errors.ts';
import { checkClientCertChain, parseClientCert } from '../../../src/http/client-cert-header.ts';

const invalid = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
  return 'accepted';
};
const sequenceOf = (bytes: Uint8Array): string => `:${Buffer.from(bytes).toString('base64')}:`;
const octets = fc.uint8Array({ minLength: 1, maxLength: 300 });

describe('Client-Cert', () => {
  test('any octets in a byte sequence, with or without padding, with spaces around', () => {
    fc.assert(
      fc.property(octets, fc.constantFrom('', ' ', '  '), (bytes, space) => {
        expect(parseClientCert([space + sequenceOf(bytes) + space])).toEqual(Buffer.from(bytes));
        expect(parseClientCert([sequenceOf(bytes).replaceAll('=', '')])).toEqual(Buffer.from(bytes));
      }),
    );
  });
  test.each([
    '', ':', '::', ':====:', ':=:', ':A:', ':AAAAA:', ':AA=:', ':AAA==:', ':AAAA=:', ':AAAA==:', ':AA==', 'AA==:', 'AA==', ':AA==:;a=1', ':AA==:, :AA==:', ':AA==::AA==:', ':AA ==:', ':A\tA==:', ':-_-_:', ':%3A:',
    '"AA=="', '?1', '-----BEGIN CERTIFICATE-----', ':é===:',
  ])('%j is refused', (line) => {
    expect(invalid(() => parseClientCert([line]))).toBe('proxy-header-invalid');
  });
  test('two lines are refused, be they the same', () => {
    expect(invalid(() => parseClientCert([':AA==:', ':AA==:']))).toBe('proxy-header-invalid');
    expect(invalid(() => parseClientCert([]))).toBe('proxy-header-invalid');
  });
  test('anything at all is read as octets, or refused with our own code', () => {
    const alphabet = fc.constantFrom(...':=+/AZaz09;,. "%-_'.split(''));
    const lines = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: alphabet, maxLength: 40 }), fc.base64String({ maxLength: 60 }).map((text) => `:${text}:`));
    fc.assert(fc.property(lines, (line) => ['accepted', 'proxy-header-invalid'].includes(invalid(() => parseClientCert([line])))), { numRuns: 2000 });
  });
});

describe('Client-Cert-Chain', () => {
  test('lists of byte sequences, on one line or several', () => {
    fc.assert(fc.property(fc.array(octets, { minLength: 1, maxLength: 5 }), (chain) => checkClientCertChain([chain.map(sequenceOf).join(', '), ...chain.map(sequenceOf)]) === undefined));
    expect(invalid(() => checkClientCertChain([]))).toBe('accepted');
  });
  test.each(['', ',', ':AA==:,', ':AA==:;x, :AA==:', 'AA==', ':AA==: :AA==:', '(:AA==:)'])('%j is refused', (line) => {
    expect(invalid(() => checkClientCertChain([line]))).toBe('proxy-header-invalid');
  });
});
