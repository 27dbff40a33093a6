import type { Started } from '../app.ts';
import { configSchema, environmentName, type Config } from '../config/schema.ts';

/** What a person needs after a start: fingerprint, token file, data, and what to try next. The token itself only on a terminal, and only when it was made now. */
export function banner(config: Config, app: Started, terminal: boolean): string {
  const { api, mtls, status, operations } = app.addresses;
  const at = ({ host, port }: { host: string; port: number }) => `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const { file, token } = app.bootstrap;
  return `
Signet is ready.
  API           https://${at(api)}
  mutual TLS    https://${at(mtls)}
  status        http://${at(status)}
  operations    http://${at(operations)}
  root SHA-256  ${app.rootFingerprint}
  admin token   ${token === undefined ? `made at an earlier start${file === undefined ? '' : `: ${file}`}` : `${file ?? ''} (only you can read it)`}${terminal && token !== undefined ? `\n                ${token}` : ''}
  data          ${config.dataDir}${app.database === 'embedded' ? ' (with a PostgreSQL of its own)' : ''}

Try next, in another terminal:
  curl -s http://${at(status)}/trust-bundle.pem | openssl x509 -noout -fingerprint -sha256
  export SIGNET_FINGERPRINT=${app.rootFingerprint} SIGNET_TOKEN_FILE=${quoted(file ?? '<file with an admin token>')}${clientAddresses(config, app.addresses)}
  npm run -s signet -- agent register --name my-first-agent --owner you@example.org --purpose "a first try"

`;
}

/** The addresses the command line must be told because they are not its defaults; on this machine the port is the one that is really open. */
function clientAddresses(config: Config, addresses: Started['addresses']): string {
  const doors = [['apiUrl', addresses.api], ['mtlsUrl', addresses.mtls], ['publicUrl', addresses.status]] as const;
  return doors
    .map(([key, { port }]) => {
      const url = new URL(config[key]);
      if (url.hostname === '127.0.0.1' || url.hostname === 'localhost' || url.hostname === '[::1]') url.port = String(port);
      const address = url.href.replace(/\/$/, '');
      return address === configSchema.shape[key].parse(undefined) ? '' : ` ${environmentName(key)}=${quoted(address)}`;
    })
    .join('');
}

/** For a shell. */
const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
