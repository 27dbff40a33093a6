import { expect, test } from '@jest/globals';
import { banner } from '../../../src/admin/banner.ts';
import { loadConfig } from '../../../src/config/load.ts';

const ADDRESSES = { api: { host: '127.0.0.1', port: 8443 }, mtls: { host: '127.0.0.1', port: 8444 }, status: { host: '127.0.0.1', port: 8080 }, operations: { host: '127.0.0.1', port: 9464 } };
const FILE = '/data/bootstrap-admin-token';

function exported(env: Record<string, string> = {}, addresses = ADDRESSES, file: string | undefined = FILE): string {
  const text = banner(loadConfig({ SIGNET_DATA_DIR: '/data', ...env }), { addresses, rootFingerprint: 'AA:BB', database: 'embedded', bootstrap: { file, token: undefined } }, true);
  return /^ {2}export (.*)$/m.exec(text)?.[1] ?? '';
}

test('the token is shown on a terminal and only when it was made now', () => {
  const of = (token: string | undefined, terminal: boolean) => banner(loadConfig({}), { addresses: ADDRESSES, rootFingerprint: 'AA:BB', database: 'given', bootstrap: { file: FILE, token } }, terminal);
  expect(of('sga_secret', true)).toContain('sga_secret');
  expect(of('sga_secret', false)).not.toContain('sga_secret');
  expect(of('sga_secret', false)).toContain(`${FILE} (only you can read it)`);
  expect(of(undefined, true)).toContain(`made at an earlier start: ${FILE}`);
});

test('what to try next works as it is printed: other addresses are told, as a shell reads them', () => {
  expect(exported()).toBe(`SIGNET_FINGERPRINT=AA:BB SIGNET_TOKEN_FILE=${FILE}`);
  const moved = { ...ADDRESSES, api: { host: '0.0.0.0', port: 18443 }, status: { host: '127.0.0.1', port: 18080 } };
  expect(exported({}, moved)).toBe(`SIGNET_FINGERPRINT=AA:BB SIGNET_TOKEN_FILE=${FILE} SIGNET_API_URL=https://127.0.0.1:18443 SIGNET_PUBLIC_URL=http://127.0.0.1:18080`);
  expect(exported({ SIGNET_API_URL: 'https://ca.example.org' }, moved)).toContain(' SIGNET_API_URL=https://ca.example.org SIGNET_PUBLIC_URL=');
  expect(exported({}, ADDRESSES, "/it's here/token")).toContain(`SIGNET_TOKEN_FILE='/it'\\''s here/token'`);
});
