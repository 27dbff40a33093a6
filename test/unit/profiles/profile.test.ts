import { describe, expect, test } from '@jest/globals';
import { loadProfiles, ProfileError } from '../../../src/profiles/profile.ts';
import { renewalWindow } from '../../../src/profiles/apply.ts';

describe('loadProfiles', () => {
  test('the built-in profiles stand without a file', () => {
    const profiles = loadProfiles(undefined);
    expect(profiles.names()).toEqual(['agent', 'ephemeral', 'service']);
    expect(profiles.get('agent')).toMatchObject({ ttlSeconds: 3600, revocationPointers: 'crl-and-ocsp', keyReuse: false });
    expect(profiles.get('ephemeral')).toMatchObject({ maxTtlSeconds: 600, revocationPointers: 'none' });
    expect(profiles.shortestTtlSeconds).toBe(300);
  });

  test('a file changes single fields and adds profiles; a profile cannot be changed afterwards', () => {
    const profiles = loadProfiles({ agent: { ttlSeconds: 60 }, batch: { subject: 'empty' } });
    expect(profiles.get('agent')).toMatchObject({ ttlSeconds: 60, maxTtlSeconds: 86_400 });
    expect(profiles.get('batch')).toMatchObject({ name: 'batch', subject: 'empty', ttlSeconds: 3600 });
    expect(() => Object.assign(profiles.get('agent') ?? {}, { ttlSeconds: 1 })).toThrow(TypeError);
  });

  test('all faults are said at once', () => {
    const bad = {
      Upper: {},
      agent: { ttlSeconds: 7200, maxTtlSeconds: 3600 },
      ephemeral: { maxTtlSeconds: 3600 },
      typo: { ttlSecond: 60 },
      server: { extendedKeyUsage: ['serverAuth'] },
      window: { renewal: { startFraction: 0.5, endFraction: 0.4 } },
    };
    expect(() => loadProfiles(bad)).toThrow(ProfileError);
    try {
      loadProfiles(bad);
    } catch (error) {
      const { message } = error as ProfileError;
      for (const part of ['Upper', 'ttlSeconds is above', 'RFC 9608', 'typo', 'window', 'clientAuth']) expect(message).toContain(part);
    }
  });

  test.each([[[]], ['x'], [{ agent: 5 }]])('%j is not a profiles file', (file) => {
    expect(() => loadProfiles(file)).toThrow(ProfileError);
  });
});

test('renewalWindow counts from the moment of issue, whole milliseconds', () => {
  const issuedAt = new Date('2026-11-21T00:00:00Z');
  const window = renewalWindow({ renewal: { startFraction: 0.25, endFraction: 0.4 } }, issuedAt, new Date('2026-11-21T01:00:00Z'));
  expect(window).toEqual({ start: new Date('2026-11-21T00:15:00Z'), end: new Date('2026-11-21T00:24:00Z') });
});
