import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { configCheck } from '../../../src/admin/config-check.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'signet-check-'));
afterAll(() => rmSync(dataDir, { recursive: true }));

function check(env: Record<string, string>): { code: number; text: string } {
  let text = '';
  const code = configCheck({ SIGNET_DATA_DIR: dataDir, ...env }, { write: (part: string) => (text += part) });
  return { code, text };
}

function file(name: string, content: string): string {
  const path = join(dataDir, name);
  writeFileSync(path, content);
  return path;
}

test('config check: a valid configuration, what differs, warnings, no password, nothing made', () => {
  const kekFile = file('k', '00112233445566778899aabbccddeeff'.repeat(2));
  const before = readdirSync(dataDir);
  const { code, text } = check({ DATABASE_URL: 'postgresql://signet:hunter2@db/signet', SIGNET_KEK_FILE: kekFile, SIGNET_CRL_SHARDS: '1', SIGNET_API_LISTEN: '[::1]:8443', SIGNET_LOG_LEVEL: 'debug' });
  expect(code).toBe(0);
  expect(text.split('\n')).toEqual([
    'the configuration is valid',
    '  DATABASE_URL=postgresql://signet:[redacted]@db/signet',
    `  SIGNET_DATA_DIR=${dataDir}`,
    '  SIGNET_API_LISTEN=[::1]:8443',
    `  SIGNET_KEK_FILE=${kekFile}`,
    '  SIGNET_LOG_LEVEL=debug',
    expect.stringMatching(/^warning: SIGNET_PUBLIC_URL .*SIGNET_API_URL .*SIGNET_MTLS_URL .* name this machine only/),
    expect.stringMatching(/^warning: SIGNET_OWNER_DATABASE_URL/),
    '',
  ]);
  expect(readdirSync(dataDir)).toEqual(before);
});

test('config check: faults of the configuration end with 78', () => {
  const { code, text } = check({ SIGNET_CRL_SHARDS: '0', SIGNET_LOG_LEVEL: 'loud' });
  expect(code).toBe(78);
  expect(text).toContain('2 faults');
});

test('config check: faults of the files it names are all told', () => {
  const { code, text } = check({ SIGNET_KEK_FILE: file('bad', 'no key'), SIGNET_PROFILES_FILE: file('profiles', '{"agent": {"ttlSeconds": 1}}') });
  expect(code).toBe(78);
  expect(text).toContain('holds no key-encryption key');
  expect(text).toContain('SIGNET_PROFILES_FILE');
});

test.each([['missing', undefined], ['not JSON', '{']])('config check: a profiles file that is %s', (_, content) => {
  const path = content === undefined ? join(dataDir, 'none') : file('profiles', content);
  expect(check({ SIGNET_PROFILES_FILE: path })).toMatchObject({ code: 78, text: expect.stringContaining(path) as unknown });
});
