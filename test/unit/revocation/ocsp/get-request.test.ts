import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeOcspPath } from '../../../../src/revocation/ocsp/get-request.ts';
import { OcspRequestError } from '../../../../src/x509/ocsp-request.ts';

/** DER whose base64 holds +, / and padding. */
const der = Buffer.from('300901fbefbeffffff0203', 'hex');
const base64 = der.toString('base64');

test.each([
  ['as it is', `/${base64}`],
  ['percent-encoded', `/${encodeURIComponent(base64)}`],
  ['percent-encoded in lower case', `/${base64.replaceAll('/', '%2f').replaceAll('+', '%2b').replaceAll('=', '%3d')}`],
  ['without padding', `/${base64.replace(/=+$/, '')}`],
  ['after a double slash', `//${base64}`],
  ['with + turned into a space', `/${base64.replaceAll('+', '%20')}`],
])('decodeOcspPath: takes base64 %s', (_, path) => {
  expect(base64).toMatch(/\+.*\/.*=/);
  expect(decodeOcspPath(path).equals(der)).toBe(true);
});

test.each([
  ['nothing', '/'],
  ['an empty path', ''],
  ['a broken escape', '/MA%2'],
  ['an escape that is not UTF-8', '/%ff%fe'],
  ['padding in the middle', '/MA==MA=='],
  ['other characters', '/MA*A'],
  ['the URL alphabet', '/MA-_'],
  ['one digit too many', '/MAAAA'],
  ['a path without end', `/${'M'.repeat(10_000)}`],
])('decodeOcspPath: refuses %s', (_, path) => {
  expect(() => decodeOcspPath(path)).toThrow(OcspRequestError);
});

test('decodeOcspPath: any DER SEQUENCE comes back as it was sent', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (tail) => {
      const sent = Buffer.concat([Buffer.of(0x30), tail]);
      expect(decodeOcspPath(`/${encodeURIComponent(sent.toString('base64'))}`).equals(sent)).toBe(true);
    }),
  );
});

test('decodeOcspPath: any text gives octets or OcspRequestError, nothing else', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      try {
        expect(decodeOcspPath(text)).toBeInstanceOf(Buffer);
      } catch (error) {
        expect(error).toBeInstanceOf(OcspRequestError);
      }
    }),
  );
});
