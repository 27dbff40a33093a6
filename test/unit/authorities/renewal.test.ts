import { describe, expect, test } from '@jest/globals';
import { isHalfSpent, wouldOutlast } from '../../../src/authorities/renewal.ts';
import { dueRotation } from '../../../src/authorities/rotate-issuer.ts';
import { deadBefore } from '../../../src/authorities/retire.ts';
import { dueResponders } from '../../../src/authorities/renew-responder.ts';
import type { AuthorityRecord } from '../../../src/db/authorities.ts';
import { loadProfiles } from '../../../src/profiles/profile.ts';

const NOW = new Date('2026-11-21T00:00:00Z');
const day = (days: number) => new Date(NOW.getTime() + days * 86_400_000);
const record = (kind: AuthorityRecord['kind'], state: AuthorityRecord['state'], notAfter: Date, rest: Partial<AuthorityRecord> = {}): AuthorityRecord => ({
  id: `${kind}-${state}`, kind, state, issuerId: 'root-active', serial: Buffer.of(1), fingerprint: Buffer.of(1), subject: 'CN=x', ski: Buffer.of(1), keyId: 'k', algorithm: 'ecdsa-p256',
  der: Buffer.of(), shardCount: 1, notBefore: NOW, notAfter, createdAt: NOW, activatedAt: null, retiringAt: null, revokedAt: null, ...rest,
});

describe('isHalfSpent', () => {
  const certificate = { createdAt: NOW, notAfter: day(8) };
  test('counts from the making', () => {
    expect(isHalfSpent(certificate, new Date(day(4).getTime() - 1))).toBe(false);
    expect(isHalfSpent(certificate, day(4))).toBe(true);
  });
  test('a reserve longer than half of the life comes first', () => {
    expect(isHalfSpent(certificate, day(2), 6 * 86_400_000)).toBe(true);
    expect(isHalfSpent(certificate, day(1), 6 * 86_400_000)).toBe(false);
  });
});

test('wouldOutlast: a successor cut short by its signer is no gain', () => {
  expect(wouldOutlast({ createdAt: NOW, notAfter: day(8) }, 8, day(8), day(4))).toBe(false);
  expect(wouldOutlast({ createdAt: NOW, notAfter: day(8) }, 8, day(100), day(4))).toBe(true);
});

describe('dueRotation', () => {
  const config = { issuerPrepareBeforeDays: 90, issuerActivateBeforeDays: 60, issuerValidityDays: 365 };
  const profiles = loadProfiles(undefined);
  const root = record('root', 'active', day(3650), { issuerId: null });
  const at = (days: number, ...more: AuthorityRecord[]) => dueRotation(config, profiles, [root, record('issuing', 'active', day(365)), ...more], day(days));

  test('nothing, then prepare, then activate', () => {
    expect(at(274.9)).toEqual({ prepare: false, activate: false, rootTooShort: false });
    expect(at(275)).toEqual({ prepare: true, activate: false, rootTooShort: false });
    const prepared = record('issuing', 'prepared', day(640));
    expect(at(304.9, prepared)).toEqual({ prepare: false, activate: false, rootTooShort: false });
    expect(at(305, prepared)).toEqual({ prepare: false, activate: true, rootTooShort: false });
  });

  test('an active issuer that is gone: both steps at once', () => {
    expect(dueRotation(config, profiles, [root], NOW)).toEqual({ prepare: true, activate: true, rootTooShort: false });
  });

  test('the longest leaf of any profile fits, whatever the config says', () => {
    const tight = { issuerPrepareBeforeDays: 2, issuerActivateBeforeDays: 1, issuerValidityDays: 30 };
    const due = (days: number) => dueRotation(tight, profiles, [root, record('issuing', 'active', day(30))], day(days));
    expect(due(22.9)).toMatchObject({ prepare: false, activate: false });
    // The service profile lives up to seven days.
    expect(due(23)).toMatchObject({ prepare: true, activate: true });
  });

  test('a root that ends with the active issuer asks for a rollover instead', () => {
    const short = record('root', 'active', day(365), { issuerId: null });
    expect(dueRotation(config, profiles, [short, record('issuing', 'active', day(365))], day(300))).toEqual({ prepare: false, activate: false, rootTooShort: true });
  });
});

test('deadBefore: one more list, or the longest renewal after expiry, whichever is later', () => {
  const config = { crlIntervalSeconds: 900, crlValiditySeconds: 14_400 } as Parameters<typeof deadBefore>[0]['config'];
  expect(deadBefore({ config, profiles: loadProfiles(undefined) }, NOW)).toEqual(new Date(NOW.getTime() - 15_300_000));
  const profiles = loadProfiles({ slow: { renewAfterExpirySeconds: 86_400 } });
  expect(deadBefore({ config, profiles }, NOW)).toEqual(day(-1));
});

test('dueResponders: missing or half spent, for every issuer in force; none for one that has ended', () => {
  const config = { responderValidityDays: 7, ocspValiditySeconds: 600 } as Parameters<typeof dueResponders>[0];
  const issuing = [
    record('issuing', 'active', day(365), { id: 'fresh' }),
    record('issuing', 'retiring', day(100), { id: 'half' }),
    record('issuing', 'prepared', day(500), { id: 'missing' }),
    record('issuing', 'retiring', NOW, { id: 'ended' }),
  ];
  const responders = [
    record('ocsp', 'active', day(7), { issuerId: 'fresh' }),
    record('ocsp', 'active', day(3), { issuerId: 'half', createdAt: day(-4) }),
  ];
  expect(dueResponders(config, [...issuing, ...responders], NOW).map(({ id }) => id)).toEqual(['half', 'missing']);
});
