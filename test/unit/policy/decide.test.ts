import { describe, expect, test } from '@jest/globals';
import { decide, type DecisionRequest, type Registration } from '../../../src/policy/decide.ts';
import { loadProfiles, type Profile } from '../../../src/profiles/profile.ts';

const AGENT = '01JD5B0Q3V9W4K7N2M8P6R1S0T';
const INSTANCE = '01JD5B0Q3V9W4K7N2M8P6R1S1V';
const profile = (name: string): Profile => {
  const found = loadProfiles(undefined).get(name);
  if (!found) throw new Error(name);
  return found;
};
const registration: Registration = { agentId: AGENT, version: 1, agentName: 'invoice-reader', dnsNames: ['reader.example.org', 'r2.example.org'], ttlCapSeconds: undefined };
const request: DecisionRequest = {
  trustDomain: 'example.org',
  instanceId: INSTANCE,
  keyAlgorithm: 'ecdsa-p256',
  commonNames: [],
  uris: [],
  dnsNames: [],
  otherNames: 0,
  ttlSeconds: undefined,
};

describe('decide', () => {
  test('nothing asked for: the registration’s id, all its DNS names, the profile’s lifetime', () => {
    expect(decide(registration, profile('agent'), request)).toEqual({
      allow: true,
      spiffeId: `spiffe://example.org/agent/${AGENT}`,
      dnsNames: ['reader.example.org', 'r2.example.org'],
      ttlSeconds: 3600,
    });
  });

  test.each([
    ['another agent’s URI', { uris: ['spiffe://example.org/agent/01JD5B0Q3V9W4K7N2M8P6R1S9Z'] }],
    ['its id in another trust domain', { uris: [`spiffe://example.com/agent/${AGENT}`] }],
    ['a DNS name that is not registered', { dnsNames: ['reader.example.org', 'evil.example.org'] }],
    ['a common name of somebody else', { commonNames: ['payroll'] }],
    ['names of other kinds', { otherNames: 1 }],
  ])('%s: refused, and the granted names are said', (_what, asked) => {
    const decision = decide(registration, profile('agent'), { ...request, ...asked });
    expect(decision).toMatchObject({ allow: false, code: 'names-not-granted' });
    if (decision.allow) throw new Error('unreachable');
    expect(decision.granted).toContain(`URI:spiffe://example.org/agent/${AGENT}`);
    expect(decision.detail).toContain('granted would be');
  });

  test('its own names are granted: id or name as CN, its SPIFFE ID, a DNS name in any case', () => {
    for (const commonNames of [[AGENT], ['invoice-reader']]) {
      const decision = decide(registration, profile('agent'), { ...request, commonNames, uris: [`spiffe://example.org/agent/${AGENT}`], dnsNames: ['R2.Example.org', 'r2.example.org'] });
      expect(decision).toMatchObject({ allow: true, dnsNames: ['r2.example.org'] });
    }
  });

  test('a profile with the instance in the path and without DNS names', () => {
    const decision = decide(registration, profile('ephemeral'), request);
    expect(decision).toMatchObject({ allow: true, spiffeId: `spiffe://example.org/agent/${AGENT}/instance/${INSTANCE}`, dnsNames: [], ttlSeconds: 300 });
    expect(decide(registration, profile('ephemeral'), { ...request, dnsNames: ['reader.example.org'] })).toMatchObject({ allow: false, code: 'names-not-granted' });
  });

  test('the lifetime: cut to the registration’s cap when not asked for, refused when more is asked for', () => {
    const capped = { ...registration, ttlCapSeconds: 600 };
    expect(decide(capped, profile('agent'), request)).toMatchObject({ allow: true, ttlSeconds: 600 });
    expect(decide(capped, profile('agent'), { ...request, ttlSeconds: 600 })).toMatchObject({ allow: true, ttlSeconds: 600 });
    expect(decide(capped, profile('agent'), { ...request, ttlSeconds: 601 })).toMatchObject({ allow: false, code: 'ttl-not-granted' });
    expect(decide(registration, profile('agent'), { ...request, ttlSeconds: 86_401 })).toMatchObject({ allow: false, code: 'ttl-not-granted' });
  });

  test('a key type the profile does not list is refused', () => {
    const strict = loadProfiles({ agent: { keyAlgorithms: ['ed25519'] } }).get('agent');
    if (!strict) throw new Error('agent');
    expect(decide(registration, strict, request)).toMatchObject({ allow: false, code: 'key-type-not-allowed' });
  });
});
