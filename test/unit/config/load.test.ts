import { expect, test } from '@jest/globals';
import type { Environment } from '../../../src/config/environment.ts';
import { configWarnings, defaultDataDir, loadConfig } from '../../../src/config/load.ts';
import { CONFIG_KEYS, configSchema, environmentName } from '../../../src/config/schema.ts';
import { StartupError } from '../../../src/core/errors.ts';

const BASE: Environment = { SIGNET_DATA_DIR: '/data' };
const noFile = (): string => {
  throw Object.assign(new Error('missing'), { code: 'ENOENT' });
};

function faultsOf(env: Environment, file?: string): string {
  try {
    loadConfig({ ...BASE, ...env }, file === undefined ? noFile : () => file);
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    expect((error as StartupError).exitCode).toBe(78);
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
}

test('loadConfig without anything gives every default, frozen', () => {
  const config = loadConfig(BASE, noFile);
  expect(config).toMatchObject({ trustDomain: 'signet.internal', publicUrl: 'http://127.0.0.1:8080', apiListen: { host: '127.0.0.1', port: 8443 }, crlShards: 1, nodeEnv: 'development' });
  expect(config.databaseUrl).toBeUndefined();
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.apiListen)).toBe(true);
});

test('loadConfig: environment wins over file, file over default, empty variables count as not set', () => {
  const file = JSON.stringify({ crlShards: 4, logLevel: 'warn', organization: 'File', statusListen: '[::1]:80' });
  const config = loadConfig({ ...BASE, SIGNET_CONFIG_FILE: '/c.json', SIGNET_CRL_SHARDS: '8', SIGNET_ORGANIZATION: '' }, () => file);
  expect(config).toMatchObject({ crlShards: 8, logLevel: 'warn', organization: 'File', statusListen: { host: '::1', port: 80 }, configFile: '/c.json' });
});

test('loadConfig takes the trailing slash off a base URL', () => {
  expect(loadConfig({ ...BASE, SIGNET_PUBLIC_URL: 'https://pki.example.com/signet/' }, noFile).publicUrl).toBe('https://pki.example.com/signet');
});

test('loadConfig tells all faults at once, by the name under which they were given', () => {
  const message = faultsOf(
    { SIGNET_CONFIG_FILE: '/c.json', SIGNET_CRL_SHARDS: 'many', SIGNET_API_URL: 'http://x', SIGNET_LOG_LEVEL: 'loud', SIGNET_JOIN_TOKEN_TTL_SECONDS: '700000' },
    JSON.stringify({ pageSizeDefault: '1e3', crlShard: 2, configFile: '/other', __proto__x: 1 }),
  );
  expect(message).toContain('8 faults');
  expect(message).toContain('SIGNET_CRL_SHARDS: must be a whole number from 1 to 4096 (count)');
  expect(message).toContain('SIGNET_API_URL: must be https://');
  expect(message).toContain('SIGNET_LOG_LEVEL: must be one of fatal,');
  expect(message).toContain('SIGNET_JOIN_TOKEN_TTL_SECONDS: must not be longer than joinTokenMaxTtlSeconds');
  expect(message).toContain('pageSizeDefault in the configuration file: must be a whole number');
  expect(message).toContain('"crlShard" in the configuration file: no such key');
  expect(message).toContain('configFile in the configuration file: can only be given by the environment');
});

test.each([
  ['SIGNET_CRL_SHARDS', '0'], ['SIGNET_CRL_SHARDS', '4097'], ['SIGNET_CRL_SHARDS', '-1'], ['SIGNET_CRL_SHARDS', '1.5'], ['SIGNET_CRL_SHARDS', '0x10'], ['SIGNET_CRL_SHARDS', ' 1'],
  ['SIGNET_TRUST_DOMAIN', 'Signet.Internal'], ['SIGNET_TRUST_DOMAIN', 'a b'], ['SIGNET_ORGANIZATION', 'a\nb'], ['SIGNET_ORGANIZATION', 'x'.repeat(65)],
  ['SIGNET_PUBLIC_URL', 'ftp://x'], ['SIGNET_PUBLIC_URL', 'http://u:p@x'], ['SIGNET_PUBLIC_URL', 'http://x/?q'], ['SIGNET_PUBLIC_URL', 'http://x/#f'], ['SIGNET_PUBLIC_URL', 'http:x'], ['SIGNET_PUBLIC_URL', 'http://ä'],
  ['SIGNET_API_LISTEN', '8443'], ['SIGNET_API_LISTEN', 'h:70000'], ['SIGNET_API_LISTEN', '::1:80'], ['SIGNET_API_LISTEN', 'h:'],
  ['SIGNET_IDEMPOTENCY_SECRET_TTL_SECONDS', '541'], ['SIGNET_TLS_MIN_VERSION', 'TLSv1.1'], ['SIGNET_NAME_CONSTRAINTS', 'on'],
  ['SIGNET_TRUSTED_PROXIES', 'proxy.example'], ['SIGNET_TRUSTED_PROXIES', '10.0.0.0/8,'], ['SIGNET_TRUSTED_PROXIES', '10.0.0.0/33'], ['SIGNET_TRUSTED_PROXIES', '0.0.0.0/0'], ['SIGNET_TRUSTED_PROXIES', '10.0.0.1,::/0'],
])('loadConfig refuses %s=%j', (name, value) => {
  expect(faultsOf({ [name]: value })).toContain(`\n  ${name}: must be `);
});

test('loadConfig never repeats a database address: it may hold a password', () => {
  const message = faultsOf({ DATABASE_URL: 'mysql://me:hunter2@db/x', SIGNET_KEK_FILE: '/k' });
  expect(message).toContain('DATABASE_URL: must be postgresql://');
  expect(message).not.toContain('hunter2');
});

test.each([
  ['not JSON', '{ "databaseUrl": "postgresql://me:hunter2@db/x", }', 'the file is not JSON'],
  ['an array', '[]', 'must hold one JSON object'],
  ['null', 'null', 'must hold one JSON object'],
  ['a wrong type', '{"crlShards": true}', 'crlShards in the configuration file: must be a whole number'],
  ['null for a text', '{"kekFile": null}', 'kekFile in the configuration file: '],
  ['a prototype', '{"__proto__": {"crlShards": 2}}', '"__proto__" in the configuration file: no such key'],
])('loadConfig refuses a file that holds %s', (_, file, fault) => {
  const message = faultsOf({ SIGNET_CONFIG_FILE: '/c.json' }, file);
  expect(message).toContain(fault);
  expect(message).not.toContain('hunter2');
});

test('loadConfig refuses a file that cannot be read', () => {
  expect(faultsOf({ SIGNET_CONFIG_FILE: '/c.json' })).toContain('SIGNET_CONFIG_FILE: the file cannot be read (ENOENT)');
});

test.each<[string, Environment, string]>([
  ['owner URL alone', { SIGNET_OWNER_DATABASE_URL: 'postgresql://h/d' }, 'SIGNET_OWNER_DATABASE_URL: needs DATABASE_URL'],
  ['listen URL alone', { SIGNET_LISTEN_DATABASE_URL: 'postgresql://h/d' }, 'SIGNET_LISTEN_DATABASE_URL: needs DATABASE_URL'],
  ['two keys', { SIGNET_KEK_FILE: '/a', SIGNET_KEK_PASSPHRASE_FILE: '/b' }, 'SIGNET_KEK_FILE: cannot be given together'],
  ['a database without a key', { DATABASE_URL: 'postgresql://h/d' }, 'SIGNET_KEK_FILE: must be given'],
  ['production without a key', { NODE_ENV: 'production' }, 'SIGNET_KEK_FILE: must be given'],
  ['barriers in production', { NODE_ENV: 'production', SIGNET_KEK_FILE: '/k', SIGNET_FAULT_BARRIERS_DIR: '/b' }, 'SIGNET_FAULT_BARRIERS_DIR: is for tests'],
  ['doors on one address', { SIGNET_MTLS_LISTEN: '127.0.0.1:8443' }, 'SIGNET_API_LISTEN: must not be the address of another door'],
  ['head slower than the request', { SIGNET_HEADERS_TIMEOUT_MS: '30001' }, 'SIGNET_HEADERS_TIMEOUT_MS: '],
  ['more serials than a body holds', { SIGNET_STATUS_BATCH_MAX: '1488' }, 'SIGNET_STATUS_BATCH_MAX: must fit into jsonMaxBytes, 44 octets a serial'],
  ['issuer as long as the root', { SIGNET_ISSUER_VALIDITY_DAYS: '3650' }, 'SIGNET_ISSUER_VALIDITY_DAYS: '],
  ['prepare before the issuer is made', { SIGNET_ISSUER_PREPARE_BEFORE_DAYS: '365' }, 'SIGNET_ISSUER_PREPARE_BEFORE_DAYS: '],
  ['activate before prepare', { SIGNET_ISSUER_ACTIVATE_BEFORE_DAYS: '90' }, 'SIGNET_ISSUER_ACTIVATE_BEFORE_DAYS: '],
  ['leaf valid before its issuer', { SIGNET_AUTHORITY_BACKDATE_SECONDS: '59' }, 'SIGNET_AUTHORITY_BACKDATE_SECONDS: '],
  ['list too short for its interval', { SIGNET_CRL_VALIDITY_SECONDS: '2699' }, 'SIGNET_CRL_VALIDITY_SECONDS: '],
  ['cache longer than the answer', { SIGNET_OCSP_MAX_AGE_SECONDS: '601' }, 'SIGNET_OCSP_MAX_AGE_SECONDS: '],
  ['answer longer than its responder', { SIGNET_RESPONDER_VALIDITY_DAYS: '1', SIGNET_OCSP_VALIDITY_SECONDS: '21601' }, 'SIGNET_RESPONDER_VALIDITY_DAYS: '],
  ['partition dropped before the last list', { SIGNET_CERTIFICATE_RETENTION_DAYS: '1', SIGNET_CRL_VALIDITY_SECONDS: '86400' }, 'SIGNET_CERTIFICATE_RETENTION_DAYS: '],
  ['batch above the queue', { SIGNET_COMMIT_QUEUE_MAX: '127' }, 'SIGNET_COMMIT_BATCH_MAX: '],
  ['page above its cap', { SIGNET_PAGE_SIZE_MAX: '49' }, 'SIGNET_PAGE_SIZE_DEFAULT: '],
  ['secret kept longer than the answer', { SIGNET_IDEMPOTENCY_TTL_SECONDS: '539' }, 'SIGNET_IDEMPOTENCY_SECRET_TTL_SECONDS: '],
])('loadConfig refuses contradictions: %s', (_, env, fault) => {
  const message = faultsOf(env);
  expect(message).toContain('1 fault:');
  expect(message).toContain(fault);
});

test('loadConfig: doors on free ports may share a host', () => {
  const free = { SIGNET_API_LISTEN: '127.0.0.1:0', SIGNET_MTLS_LISTEN: '127.0.0.1:0' };
  expect(loadConfig({ ...BASE, ...free }, noFile).mtlsListen.port).toBe(0);
});

test('loadConfig: trusted proxies as text with commas, or as a list in the file; none by default', () => {
  expect(loadConfig(BASE, noFile).trustedProxies).toEqual([]);
  expect(loadConfig({ ...BASE, SIGNET_TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::1' }, noFile).trustedProxies).toEqual(['10.0.0.0/8', '2001:db8::1']);
  expect(loadConfig({ ...BASE, SIGNET_CONFIG_FILE: '/c.json' }, () => '{"trustedProxies": ["192.0.2.7"]}').trustedProxies).toEqual(['192.0.2.7']);
});

test('defaultDataDir: system folder as root, else the data folder of the user', () => {
  expect(defaultDataDir({ HOME: '/root', XDG_DATA_HOME: '/x' }, 0)).toBe('/var/lib/signet');
  expect(defaultDataDir({ HOME: '/home/me' }, 1000)).toBe('/home/me/.local/share/signet');
  expect(defaultDataDir({ HOME: '/home/me', XDG_DATA_HOME: '/x' }, 1000)).toBe('/x/signet');
  expect(defaultDataDir({ HOME: '/home/me', XDG_DATA_HOME: 'relative' }, 1000)).toBe('/home/me/.local/share/signet');
});

test('configWarnings: loopback addresses, unknown variables, one database role', () => {
  const env = {
    ...BASE,
    DATABASE_URL: 'postgresql://h/d', SIGNET_KEK_FILE: '/k', SIGNET_PUBLIC_URL: 'http://localhost:80', SIGNET_API_URL: 'https://[::1]', SIGNET_MTLS_URL: 'https://signet.example.com',
    SIGNET_CRL_SHARD: '2', SIGNET_SERVICE_HOST: '10.0.0.1', SIGNET_PORT_8443_TCP: 'tcp://10.0.0.1:8443',
  };
  const warnings = configWarnings(loadConfig(env, noFile), env);
  expect(warnings.map((warning) => warning.split(' ')[0])).toEqual(['SIGNET_PUBLIC_URL', 'SIGNET_CRL_SHARD', 'SIGNET_OWNER_DATABASE_URL']);
  expect(warnings[0]).toBe('SIGNET_PUBLIC_URL (http://localhost:80), SIGNET_API_URL (https://[::1]) name this machine only: certificates and documents that carry them are of no use to others');
});

test('configSchema: every default is within its own bounds, and every variable name is used once', () => {
  const names = CONFIG_KEYS.map(environmentName);
  expect(new Set(names).size).toBe(CONFIG_KEYS.length);
  const config = loadConfig(BASE, noFile);
  for (const key of CONFIG_KEYS) {
    const value = config[key];
    if (value !== undefined && typeof value !== 'object') expect([key, configSchema.shape[key].safeParse(value).success]).toEqual([key, true]);
  }
});

test('a door moved without its address is warned about; what the command line reads is not', () => {
  const env = { SIGNET_DATA_DIR: '/data', SIGNET_STATUS_LISTEN: '127.0.0.1:18080', SIGNET_FINGERPRINT: 'AA', SIGNET_TOKEN_FILE: '/t' };
  const warnings = configWarnings(loadConfig(env), env);
  expect(warnings.filter((warning) => warning.includes('18080'))).toEqual(['SIGNET_PUBLIC_URL names port 8080, but the door listens on 18080: set both']);
  expect(warnings.join()).not.toContain('SIGNET_FINGERPRINT');
});
