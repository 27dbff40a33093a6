import { expect, test } from '@jest/globals';
import { addressMatcher, parseBlock, plainAddress } from '../../../src/core/addresses.ts';

test('blocks are read strictly', () => {
  expect(parseBlock('10.0.0.0/8')).toEqual({ network: '10.0.0.0', prefix: 8, family: 'ipv4' });
  expect(parseBlock('::1')).toEqual({ network: '::1', prefix: 128, family: 'ipv6' });
  for (const block of ['', '/', '10.0.0.0/', '10.0.0.0/33', '::/129', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0.0/1e1', '10.0.0/8', '10.0.0.0/8/8', 'fe80::1%eth0/64']) expect(parseBlock(block)).toBeUndefined();
});

test('no block matches nothing', () => {
  expect(addressMatcher([])('127.0.0.1')).toBe(false);
});

test('an address is shown in one form', () => {
  expect(['127.0.0.1', '::ffff:10.1.2.3', '::FFFF:10.1.2.3', '2001:DB8::1', '::1', ''].map(plainAddress)).toEqual(['127.0.0.1', '10.1.2.3', '10.1.2.3', '2001:db8::1', '::1', '']);
});

test.each([
  ['::ffff:c0a8:1', '192.168.0.1'], ['::FFFF:C0A8:0001', '192.168.0.1'], ['0:0:0:0:0:ffff:a01:203', '10.1.2.3'], ['0000::ffff:10.1.2.3', '10.1.2.3'], ['::ffff:0:0', '0.0.0.0'], ['::ffff:ffff:ffff', '255.255.255.255'],
  ['::ffff:0:c0a8:1', '::ffff:0:c0a8:1'], ['::ffff', '::ffff'], ['ffff::c0a8:1', 'ffff::c0a8:1'], ['0:ffff::1', '0:ffff::1'], ['::ffff:garbage', '::ffff:garbage'], ['fe80::1%eth0', 'fe80::1%eth0'], ['::ffff:10.1.2.3%eth0', '::ffff:10.1.2.3%eth0'],
])('however an IPv4-mapped address is written: %s is %s', (written, plain) => {
  expect(plainAddress(written)).toBe(plain);
});
