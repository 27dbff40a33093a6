import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SignetError } from '../../../src/core/errors.ts';
import { decodePem, decodePemAll, encodePem } from '../../../src/x509/pem.ts';
import { makeRoot } from '../../support/test-pki.ts';

const DER = Buffer.alloc(50, 0x5a);
const PEM = `-----BEGIN CERTIFICATE-----
${'WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpa'}
Wlo=
-----END CERTIFICATE-----
`;
const refuses = (text: string, label = 'CERTIFICATE'): string | undefined => {
  try {
    decodePem(text, label);
    return undefined;
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
};

test('encodePem writes lines of 64 characters', () => {
  expect(encodePem('CERTIFICATE', DER)).toBe(PEM);
  expect(encodePem('CERTIFICATE', DER.subarray(2))).toBe(PEM.replace('Wlo=\n', ''));
});

test('openssl writes the same PEM', () => {
  const { der } = makeRoot().certificate;
  expect(execFileSync('openssl', ['x509', '-inform', 'DER'], { input: der }).toString()).toBe(encodePem('CERTIFICATE', der));
});

test.each([
  ['as written', PEM],
  ['with CR LF', PEM.replaceAll('\n', '\r\n')],
  ['without the last newline', PEM.trimEnd()],
  ['between blank lines', `\n \t\r\n${PEM}\n\n`],
])('decodePem reads PEM %s', (_, text) => {
  expect(decodePem(text, 'CERTIFICATE').equals(DER)).toBe(true);
});

test('decodePemAll reads every block in order', () => {
  const other = encodePem('CERTIFICATE', Buffer.of(1));
  expect(decodePemAll(PEM + other + PEM, 'CERTIFICATE').map((der) => der.length)).toEqual([50, 1, 50]);
  expect(decodePemAll('', 'CERTIFICATE')).toEqual([]);
});

test.each([
  ['nothing', ''],
  ['two blocks', PEM + PEM],
  ['another label', PEM.replaceAll('CERTIFICATE', 'X509 CRL')],
  ['labels that differ', PEM.replace('BEGIN CERTIFICATE', 'BEGIN X509 CRL')],
  ['an end that differs', PEM.replace('END CERTIFICATE', 'END X509 CRL')],
  ['no end', PEM.slice(0, 100)],
  ['text before', `Subject: x\n${PEM}`],
  ['text behind', `${PEM}x`],
  ['text behind the end line', `${PEM.trimEnd()} x`],
  ['a second block on the end line', PEM.trimEnd() + PEM],
  ['headers', PEM.replace('-----\nW', '-----\nProc-Type: 4,ENCRYPTED\n\nW')],
  ['a short line before the last', PEM.replace('WlpaWlpa', 'WlpaWl\npa')],
  ['a line of 68 characters', PEM.replace('\nWlo', 'WlpaWlo')],
  ['an empty line', PEM.replace('\nWlo', '\n\nWlo')],
  ['no content', PEM.replace(/\nWlp[^-]*/, '\n')],
  ['content on the first line', PEM.replace('-----\nW', '-----W')],
  ['a space in a line', PEM.replace('Wlo=', 'W lo=')],
  ['the other alphabet', PEM.replace('Wlo=', 'W_o=')],
  ['no padding', PEM.replace('Wlo=', 'Wlo')],
  ['padding bits that are not zero', PEM.replace('Wlo=', 'Wlp=')],
  ['small letters', PEM.toLowerCase()],
])('decodePem refuses %s', (_, text) => {
  expect(refuses(text)).toBe('invalid-request');
});

test('a request that is no PEM is a malformed CSR', () => {
  expect(refuses('', 'CERTIFICATE REQUEST')).toBe('csr-malformed');
  expect(refuses(PEM, 'NEW CERTIFICATE REQUEST')).toBe('csr-malformed');
});

test('what is written is read back, and any text gives octets or a SignetError', () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (der) => decodePem(encodePem('CERTIFICATE', der), 'CERTIFICATE').equals(Buffer.from(der))));
  const pieces = fc.constantFrom('-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '-----', '\n', '\r\n', ' ', 'Wlo=', 'WlpaWlpa', '=', '\u0000', 'ä');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      refuses(parts.join(''));
    }),
    { numRuns: 1000 },
  );
});

test('a long text without an end is refused in linear time', () => {
  expect(refuses('-----BEGIN CERTIFICATE-----\n' + '-'.repeat(4) + 'A\n'.repeat(500_000))).toBe('invalid-request');
  expect(refuses(' '.repeat(1_000_000) + 'x')).toBe('invalid-request');
});
