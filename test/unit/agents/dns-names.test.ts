import { expect, test } from '@jest/globals';
import { isDnsName, reservedDnsNames } from '../../../src/agents/dns-names.ts';

test.each(['a', 'billing.example.com', 'xn--bcher-kva.example', 'a-b.c9', '9a.example', `${'a'.repeat(63)}.example`])('a host name is accepted: %s', (name) => {
  expect(isDnsName(name)).toBe(true);
});

test.each([
  '', '.', 'a.', '.a', 'a..b', '*.example.com', 'A.example.com', '-a.example', 'a-.example', 'a_b.example', 'bücher.example', 'a b', 'a\0b', 'a/b', 'a:443', 'user@a',
  '10.0.0.1', '::1', '1.2.3', 'example.12', 'example.0x7f', '%31', `${'a'.repeat(64)}.example`, `${'a.'.repeat(126)}ab`,
])('what is no plain host name is refused: %j', (name) => {
  expect(isDnsName(name)).toBe(false);
});

test('the names of Signet itself are reserved: its URLs, listeners, trust domain and the local host', () => {
  const reserved = reservedDnsNames({
    publicUrl: 'http://Status.Signet.example:8080',
    apiUrl: 'https://api.signet.example',
    mtlsUrl: 'https://mtls.signet.example:8444',
    apiListen: { host: 'ca-1.internal' },
    mtlsListen: { host: '127.0.0.1' },
    statusListen: { host: '::' },
    trustDomain: 'signet.internal',
  });
  for (const name of ['status.signet.example', 'api.signet.example', 'mtls.signet.example', 'ca-1.internal', 'signet.internal', 'localhost']) expect(reserved).toContain(name);
  expect(reserved).not.toContain('signet.example');
});
