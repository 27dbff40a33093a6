import { expect, test } from '@jest/globals';
import { canonicalHost, tlsNames } from '../../../src/authorities/tls-names.ts';

const config = {
  apiUrl: 'https://CA.Example.test:8443',
  mtlsUrl: 'https://[2001:DB8::1]:8444',
  apiListen: { host: '0.0.0.0' },
  mtlsListen: { host: '10.1.2.3' },
};

test('tlsNames: hosts of the URLs, addresses listened on and this machine, each once and in canonical form', () => {
  expect(tlsNames(config)).toEqual({ dnsNames: ['ca.example.test', 'localhost'], ipAddresses: ['10.1.2.3', '127.0.0.1', '2001:db8::1', '::1'] });
});

test('tlsNames: wildcard addresses are no names', () => {
  const { ipAddresses } = tlsNames({ ...config, apiListen: { host: '::' }, mtlsListen: { host: '0.0.0.0' } });
  expect(ipAddresses).toEqual(['127.0.0.1', '2001:db8::1', '::1']);
});

test.each([
  ['LOCALHOST', 'localhost'],
  ['[::1]', '::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['2001:0db8:0:0:0:0:0:1', '2001:db8::1'],
  ['127.0.0.1', '127.0.0.1'],
])('canonicalHost: %s is %s', (host, canonical) => {
  expect(canonicalHost(host)).toBe(canonical);
});
