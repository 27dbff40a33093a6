import { readFileSync } from 'node:fs';
import { createApiClient } from '../client/api-client.ts';
import { fetchTrustBundle } from '../client/first-contact.ts';
import { UsageError, type CliContext, type CliIo } from './command.ts';

/** What a command is given: the doors and credentials that the environment names. Files are read, and servers asked, only when a command needs them. */
export function cliContext(io: CliIo, json: boolean): CliContext {
  const { env } = io;
  let bundle: Promise<string> | undefined;
  const trustBundle = () => (bundle ??= readTrustBundle(env));
  const apiUrl = env['SIGNET_API_URL'] ?? 'https://127.0.0.1:8443';
  return {
    io,
    json,
    trustBundle,
    async connect(as) {
      if (as === undefined) return createApiClient({ url: apiUrl, token: apiToken(env), trustBundle: await trustBundle() });
      if (as === 'anyone') return createApiClient({ url: apiUrl, trustBundle: await trustBundle() });
      if ('token' in as) return createApiClient({ url: apiUrl, token: as.token, trustBundle: await trustBundle() });
      return createApiClient({ url: env['SIGNET_MTLS_URL'] ?? 'https://127.0.0.1:8444', identity: as.identity, trustBundle: await trustBundle() });
    },
    open: (door) => createApiClient({ url: door === 'status' ? statusUrl(env) : (env['SIGNET_OPERATIONS_URL'] ?? 'http://127.0.0.1:9464') }),
  };
}

const statusUrl = (env: CliIo['env']): string => env['SIGNET_PUBLIC_URL'] ?? 'http://127.0.0.1:8080';

function apiToken(env: CliIo['env']): string {
  const file = env['SIGNET_TOKEN_FILE'];
  if (file === undefined) throw new UsageError('SIGNET_TOKEN_FILE is not set: it names the file with the API token (Signet prints where it put the first one)');
  return readFileSync(file, 'utf8').trim();
}

async function readTrustBundle(env: CliIo['env']): Promise<string> {
  if (env['SIGNET_TRUST_BUNDLE'] !== undefined) return readFileSync(env['SIGNET_TRUST_BUNDLE'], 'utf8');
  if (env['SIGNET_FINGERPRINT'] !== undefined) return fetchTrustBundle(statusUrl(env), env['SIGNET_FINGERPRINT']);
  throw new UsageError('nothing to trust: set SIGNET_FINGERPRINT to the fingerprint Signet printed at its start, or SIGNET_TRUST_BUNDLE to a file with its root');
}
