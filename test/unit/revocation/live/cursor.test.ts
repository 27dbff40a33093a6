import { expect, test } from '@jest/globals';
import { assertWorld, readFeedCursor } from '../../../../src/revocation/live/cursor.ts';
import { offlineBy } from '../../../../src/revocation/live/propagation.ts';
import type { FollowedEvent } from '../../../../src/db/feed.ts';

const code = (expected: string) => expect.objectContaining({ code: expected }) as unknown;

test('cursors: a number, or a number with its world', () => {
  expect(readFeedCursor('12', undefined)).toEqual({ n: 12n, clusterId: undefined, epoch: undefined });
  expect(readFeedCursor('0', 3)).toEqual({ n: 0n, clusterId: undefined, epoch: 3 });
  expect(readFeedCursor('01M7YV54J0C1R5T2E3R4J5D6F7:2:12', undefined)).toEqual({ n: 12n, clusterId: '01M7YV54J0C1R5T2E3R4J5D6F7', epoch: 2 });
  for (const bad of ['', '-1', '01', '1:2', 'c:0:1', 'c:1:', 'c:1:1:1', ' 1', '1e3', '9'.repeat(16), "c';:1:1"]) {
    expect(() => readFeedCursor(bad, undefined)).toThrow(code('cursor-invalid'));
  }
});

test('a number of another world is refused, whichever half differs', () => {
  const world = { clusterId: 'c', epoch: 2 };
  assertWorld(world, {});
  assertWorld(world, { clusterId: 'c', epoch: 2 });
  expect(() => assertWorld(world, { clusterId: 'd', epoch: 2 })).toThrow(code('feed-other-world'));
  expect(() => assertWorld(world, { epoch: 1 })).toThrow(code('feed-other-world'));
});

test('offline parties know by the latest list, answer, or end of the certificate that binds them', () => {
  const at = new Date('2026-11-21T00:00:00Z');
  const later = (seconds: number) => new Date(at.getTime() + seconds * 1000);
  const event = { at, serial: Buffer.alloc(20) } as FollowedEvent;
  const by = (notAfter: Date | null, crlBy: Date | null) => offlineBy({ ocspValiditySeconds: 600 }, { event, notAfter, crlBy });
  const iso = (seconds: number) => later(seconds).toISOString();
  expect(by(later(86_400), later(10_000))).toEqual({ by: iso(10_000), crlBy: iso(10_000), ocspBy: iso(602), notAfter: iso(86_400) });
  expect(by(later(3_600), later(10_000))).toEqual({ by: iso(3_600), crlBy: iso(3_600), ocspBy: iso(602), notAfter: iso(3_600) });
  expect(by(later(60), later(10_000))).toMatchObject({ by: iso(60), ocspBy: iso(60) });
  expect(by(null, null)).toEqual({ by: iso(602), crlBy: null, ocspBy: iso(602), notAfter: null });
  expect(offlineBy({ ocspValiditySeconds: 600 }, { event: { ...event, serial: null }, notAfter: null, crlBy: null })).toBeNull();
});
