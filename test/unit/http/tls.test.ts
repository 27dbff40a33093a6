import { expect, test } from '@jest/globals';
import { strictTransportSecurity } from '../../../src/http/tls.ts';

const keys = { hstsSeconds: 60, apiUrl: 'https://api.example:8443', publicUrl: 'http://status.example:8080' };

test('a browser is told to keep to https, unless that would shut it out of the http status door of the same host', () => {
  expect(strictTransportSecurity(keys)).toBe('max-age=60');
  expect(strictTransportSecurity({ ...keys, publicUrl: 'http://api.example:8080' })).toBeUndefined();
  expect(strictTransportSecurity({ ...keys, publicUrl: 'https://api.example:8444' })).toBe('max-age=60');
});

test('it is not said of addresses and this machine, nor when it is turned off', () => {
  for (const apiUrl of ['https://127.0.0.1:8443', 'https://[2001:db8::1]', 'https://localhost:8443']) expect(strictTransportSecurity({ ...keys, apiUrl })).toBeUndefined();
  expect(strictTransportSecurity({ ...keys, hstsSeconds: 0 })).toBeUndefined();
});
