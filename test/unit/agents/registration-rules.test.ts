import { expect, test } from '@jest/globals';
import { assertRegistrable, type JudgedRegistration } from '../../../src/agents/registration-rules.ts';
import type { Config } from '../../../src/config/schema.ts';
import { SignetError } from '../../../src/core/errors.ts';
import { loadProfiles } from '../../../src/profiles/profile.ts';

const listen = { host: '127.0.0.1', port: 0 };
const config = {
  labelsMax: 2, maxNames: 3, trustDomain: 'signet.internal', publicUrl: 'http://status.signet.example', apiUrl: 'https://api.signet.example', mtlsUrl: 'https://mtls.signet.example',
  apiListen: listen, mtlsListen: listen, statusListen: listen,
} as Config;
const ctx = { config, profiles: loadProfiles(undefined) };
const good: JudgedRegistration = { labels: { team: 'a' }, dnsNames: ['billing.example'], profile: 'agent', ttlCapSeconds: 3600 };

function refusal(change: Partial<JudgedRegistration>): SignetError {
  try {
    assertRegistrable(ctx, { ...good, ...change });
  } catch (error) {
    if (error instanceof SignetError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

test('a registration within configuration and profile is accepted', () => {
  expect(() => assertRegistrable(ctx, good)).not.toThrow();
  expect(() => assertRegistrable(ctx, { ...good, ttlCapSeconds: null, labels: {}, dnsNames: [] })).not.toThrow();
});

test('each limit has its code and says what would do', () => {
  expect(refusal({ profile: 'nonesuch' })).toMatchObject({ code: 'profile-not-found', message: expect.stringContaining('agent, ephemeral, service') });
  expect(refusal({ ttlCapSeconds: 86_401 })).toMatchObject({ code: 'ttl-not-granted', message: expect.stringContaining('86400') });
  expect(refusal({ profile: 'ephemeral', ttlCapSeconds: 601 })).toMatchObject({ code: 'ttl-not-granted' });
  expect(refusal({ dnsNames: ['api.signet.example'] })).toMatchObject({ code: 'dns-name-reserved', message: expect.stringContaining('api.signet.example') });
  expect(refusal({ dnsNames: ['localhost'] })).toMatchObject({ code: 'dns-name-reserved' });
  expect(refusal({ labels: { a: '', b: '', c: '' } })).toMatchObject({ code: 'invalid-request', fields: [{ path: '/labels' }] });
  expect(refusal({ dnsNames: ['ok.example', '*.example'] })).toMatchObject({ code: 'invalid-request', fields: [{ path: '/dnsNames/1' }] });
  expect(refusal({ dnsNames: ['a.example', 'a.example'] })).toMatchObject({ code: 'invalid-request', fields: [{ path: '/dnsNames/1', message: 'is there twice' }] });
  expect(refusal({ dnsNames: ['a.example', 'b.example', 'c.example'] })).toMatchObject({ code: 'invalid-request', fields: [{ path: '/dnsNames' }] });
});
