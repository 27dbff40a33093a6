import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeJoinToken, parseJoinToken } from '../../../src/enrollment/join-token/secret.ts';
import { sourceAllowed } from '../../../src/enrollment/join-token/source.ts';

const now = new Date('2026-11-21T00:00:00Z');
const random = { bytes: (length: number) => Uint8Array.from({ length }, (_, i) => 255 - i) };

test('a join token carries its id and 256 random bits, and is stored as a hash', () => {
  const { id, token, secretHash } = makeJoinToken(now, random);
  const secret = token.slice(-43);
  expect(token).toMatch(/^sgj_[0-9A-Z]{26}_[A-Za-z0-9_-]{43}$/);
  expect(token).toContain(id);
  expect(Buffer.from(secret, 'base64url')).toEqual(Buffer.from(random.bytes(32)));
  expect(secretHash).toEqual(createHash('sha256').update(secret).digest());
  expect(parseJoinToken(token)).toEqual({ id, secretHash });
});

test('what is no join token is none', () => {
  const { token } = makeJoinToken(now, random);
  for (const text of ['', 'sgj_', token.slice(0, -1), `${token}A`, token.replace('sgj', 'sga'), token.toLowerCase(), ` ${token}`, `${token}\n`]) expect(parseJoinToken(text)).toBeUndefined();
  fc.assert(fc.property(fc.string({ maxLength: 100 }), (text) => parseJoinToken(text) === undefined));
});

test.each([
  ['10.1.2.3', [], true],
  ['10.1.2.3', ['10.0.0.0/8'], true],
  ['11.1.2.3', ['10.0.0.0/8'], false],
  ['10.1.2.3', ['10.1.2.3'], true],
  ['10.1.2.4', ['10.1.2.3'], false],
  ['::ffff:10.1.2.3', ['10.0.0.0/8'], true],
  ['10.1.2.3', ['2001:db8::/32', '10.1.2.0/24'], true],
  ['2001:db8::1', ['2001:db8::/32'], true],
  ['2001:db9::1', ['2001:db8::/32'], false],
  ['fe80::1%eth0', ['fe80::/10'], true],
  ['10.1.2.3', ['0.0.0.0/0'], true],
  ['2001:db8::1', ['0.0.0.0/0'], false],
  ['', ['0.0.0.0/0'], false],
  ['somewhere', ['0.0.0.0/0', '::/0'], false],
  ['10.1.2.3', ['nonsense'], false],
])('source %s in %j: %s', (source, blocks, allowed) => {
  expect(sourceAllowed(source, blocks)).toBe(allowed);
});
