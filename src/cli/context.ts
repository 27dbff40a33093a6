import { createApiClient } from '../client/api-client.ts';
import { fetchTrustBundle } from '../client/first-contact.ts';
import { UsageError, variable, type CliContext, type CliIo } from './command.ts';
import { readGiven } from './given-file.ts';

/** What a command is given: the doors and credentials that the environment names. Files are read, and servers asked, only when a command needs them. */
export function cliContext(io: CliIo, json: boolean): CliContext {
  const { env } = io;
  let bundle: Promise<string> | undefined;
  const trustBundle = () => (bundle ??= readTrustBundle(env));
  const apiUrl = () => address(env, 'SIGNET_API_URL', 'https://127.0.0.1:8443');
  return {
    io,
    json,
    trustBundle,
    async connect(as) {
      if (as === undefined) return createApiClient({ url: apiUrl(), token: apiToken(env), trustBundle: await trustBundle() });
      if (as === 'anyone') return createApiClient({ url: apiUrl(), trustBundle: await trustBundle() });
      if ('token' in as) return createApiClient({ url: apiUrl(), token: as.token, trustBundle: await trustBundle() });
      return createApiClient({ url: address(env, 'SIGNET_MTLS_URL', 'https://127.0.0.1:8444'), identity: as.identity, trustBundle: await trustBundle() });
    },
    open: (door) => createApiClient({ url: door === 'status' ? statusUrl(env) : address(env, 'SIGNET_OPERATIONS_URL', 'http://127.0.0.1:9464') }),
  };
}

const statusUrl = (env: CliIo['env']): string => address(env, 'SIGNET_PUBLIC_URL', 'http://127.0.0.1:8080');

/** The address of a door. @throws UsageError when it is none */
function address(env: CliIo['env'], name: string, byDefault: string): string {
  const url = variable(env, name) ?? byDefault;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new UsageError(`${name} must be an address such as ${byDefault}`);
  return url;
}

function apiToken(env: CliIo['env']): string {
  const file = variable(env, 'SIGNET_TOKEN_FILE');
  if (file === undefined) throw new UsageError('SIGNET_TOKEN_FILE is not set: it names the file with the API token (Signet prints where it put the first one)');
  return readGiven(file, 'SIGNET_TOKEN_FILE').trim();
}

async function readTrustBundle(env: CliIo['env']): Promise<string> {
  const file = variable(env, 'SIGNET_TRUST_BUNDLE');
  if (file !== undefined) return readGiven(file, 'SIGNET_TRUST_BUNDLE');
  const fingerprint = variable(env, 'SIGNET_FINGERPRINT');
  if (fingerprint !== undefined) return fetchTrustBundle(statusUrl(env), fingerprint);
  throw new UsageError('nothing to trust: set SIGNET_FINGERPRINT to the fingerprint Signet printed at its start, or SIGNET_TRUST_BUNDLE to a file with its root');
}
