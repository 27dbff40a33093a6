import { expect, test } from '@jest/globals';
import { MAX_LEAF_SECONDS } from '../../../src/profiles/profile.ts';
import { steerOf } from '../../../src/revocation/steer-renewals.ts';

const ctx = { random: { bytes: (length: number) => new Uint8Array(length) }, profiles: { longestGraceSeconds: 60 } } as Parameters<typeof steerOf>[0];
const ORIGIN = { actor: { kind: 'admin', id: '01A' }, requestId: null, source: null } as const;
const NOW = new Date('2026-11-21T12:00:00Z');

test('a steer lasts until nothing that it is about can be renewed any more, and names who moved the windows', () => {
  const steer = steerOf(ctx, ORIGIN, { selection: { selector: 'issuer', target: 'i' }, withinSeconds: 600, reason: 'rotated', explanationUrl: undefined, now: NOW });
  expect(steer).toMatchObject({ selector: 'issuer', target: 'i', spreadSeconds: 600, reason: 'rotated', explanationUrl: null, createdBy: 'admin:01A', createdAt: NOW });
  expect(steer.expiresAt.getTime()).toBe(NOW.getTime() + (MAX_LEAF_SECONDS + 60) * 1000);
});

test('an explanation is kept as it was given', () => {
  const explanationUrl = 'https://example.com/why';
  expect(steerOf(ctx, ORIGIN, { selection: { selector: 'serial', target: '01' }, withinSeconds: 0, reason: 'r', explanationUrl, now: NOW })).toMatchObject({ explanationUrl, spreadSeconds: 0 });
});
