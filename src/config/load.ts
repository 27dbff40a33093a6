import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { StartupError } from '../core/errors.ts';
import type { Environment } from './environment.ts';
import { RULES } from './rules.ts';
import { CONFIG_KEYS, configSchema, environmentName, type Config, type ConfigKey } from './schema.ts';


/** The text of a file. @throws when it cannot be read */
export type ReadFile = (path: string) => string;

const readUtf8: ReadFile = (path) => readFileSync(path, 'utf8');

/** One fault, told of the name under which the value was given. */
type Fault = string;

/**
 * The configuration: environment over file over defaults, parsed once, deeply frozen.
 * @throws StartupError (exit 78) naming every fault at once; values are not repeated, they may be secret
 */
export function loadConfig(env: Environment = process.env, readFile: ReadFile = readUtf8): Config {
  const faults: Fault[] = [];
  const file = readConfigFile(env, readFile, faults);
  const { values, bad } = parseKeys(env, file, faults);
  for (const rule of RULES) {
    if (rule.keys.some((key) => bad.has(key))) continue;
    if (!rule.holds(values as Config)) faults.push(`${environmentName(rule.keys[0])}: ${rule.says}`);
  }
  if (faults.length > 0) {
    const lines = faults.map((fault) => `  ${fault}`).join('\n');
    throw new StartupError(`the configuration has ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:\n${lines}\nEvery key is explained in docs/config.md; check again with: signet config check`);
  }
  for (const value of Object.values(values)) Object.freeze(value);
  return Object.freeze(values) as Config;
}

function parseKeys(env: Environment, file: Readonly<Record<string, unknown>>, faults: Fault[]) {
  const values: Record<string, unknown> = {};
  const bad = new Set<ConfigKey>();
  for (const key of CONFIG_KEYS) {
    const fromEnv = env[environmentName(key)] || undefined;
    const given = fromEnv ?? (Object.hasOwn(file, key) ? file[key] : undefined);
    // Each key is parsed alone, so that one fault hides no other.
    const parsed = configSchema.shape[key].safeParse(given === undefined && key === 'dataDir' ? defaultDataDir(env) : given);
    if (parsed.success) {
      values[key] = parsed.data;
    } else {
      bad.add(key);
      faults.push(`${fromEnv === undefined ? `${key} in the configuration file` : environmentName(key)}: ${parsed.error.issues[0]?.message ?? 'not valid'}`);
    }
  }
  return { values, bad };
}

function readConfigFile(env: Environment, readFile: ReadFile, faults: Fault[]): Readonly<Record<string, unknown>> {
  const name = environmentName('configFile');
  const path = env[name];
  if (!path) return {};
  let content: unknown;
  try {
    content = JSON.parse(readFile(path));
  } catch (error) {
    // The message of a JSON error quotes the text, which may hold a password.
    faults.push(`${name}: ${error instanceof SyntaxError ? 'the file is not JSON' : `the file cannot be read (${errorCode(error)})`}`);
    return {};
  }
  if (content === null || typeof content !== 'object' || Array.isArray(content)) {
    faults.push(`${name}: the file must hold one JSON object`);
    return {};
  }
  for (const key of Object.keys(content)) {
    if (key === 'configFile') faults.push('configFile in the configuration file: can only be given by the environment');
    else if (!(CONFIG_KEYS as string[]).includes(key)) faults.push(`${JSON.stringify(key.slice(0, 64))} in the configuration file: no such key`);
  }
  return content as Record<string, unknown>;
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown fault';
}

/** Where data rests when nothing is said (DESIGN §8): never the working directory, never a temporary folder. */
export function defaultDataDir(env: Environment, uid: number | undefined = process.getuid?.()): string {
  if (uid === 0) return '/var/lib/signet';
  const home = env['HOME'] || homedir();
  // The XDG base directory specification: relative paths are to be ignored.
  const base = env['XDG_DATA_HOME'] && isAbsolute(env['XDG_DATA_HOME']) ? env['XDG_DATA_HOME'] : join(home, '.local', 'share');
  return join(base, 'signet');
}

/** Where copies of lists go: as configured, or beside the embedded database; undefined: nowhere. */
export const crlCopyDirOf = (config: Pick<Config, 'crlCopyDir' | 'databaseUrl' | 'dataDir'>): string | undefined =>
  config.crlCopyDir ?? (config.databaseUrl === undefined ? join(config.dataDir, 'crl-copies') : undefined);

/** Where copies of checkpoints of the audit log go: as configured, or beside the embedded database; undefined: nowhere. */
export const auditCopyDirOf = (config: Pick<Config, 'auditCopyDir' | 'databaseUrl' | 'dataDir'>): string | undefined =>
  config.auditCopyDir ?? (config.databaseUrl === undefined ? join(config.dataDir, 'log-copies') : undefined);

const LOOPBACK_HOST = /^(localhost|.*\.localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

/** Variables that Kubernetes sets for a service named "signet"; they are not meant for us. */
const SERVICE_LINK = /^SIGNET_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_.+)?)$/;

/** What the command line reads (signet help). */
const COMMAND_LINE = new Set(['SIGNET_TOKEN_FILE', 'SIGNET_TRUST_BUNDLE', 'SIGNET_FINGERPRINT', 'SIGNET_OPERATIONS_URL']);

/** What is allowed but probably not meant, one line each, to be logged at start. */
export function configWarnings(config: Config, env: Environment = process.env): string[] {
  const known = new Set(CONFIG_KEYS.map(environmentName));
  const warnings: string[] = [];
  const local = (['publicUrl', 'apiUrl', 'mtlsUrl'] as const).filter((key) => LOOPBACK_HOST.test(new URL(config[key]).hostname));
  if (local.length > 0) {
    const named = local.map((key) => `${environmentName(key)} (${config[key]})`).join(', ');
    warnings.push(`${named} ${local.length === 1 ? 'names' : 'name'} this machine only: certificates and documents that carry ${local.length === 1 ? 'it' : 'them'} are of no use to others`);
  }
  for (const [url, listen] of [['publicUrl', 'statusListen'], ['apiUrl', 'apiListen'], ['mtlsUrl', 'mtlsListen']] as const) {
    const { hostname, port } = new URL(config[url]);
    const { port: listened } = config[listen];
    if (LOOPBACK_HOST.test(hostname) && listened !== 0 && port !== '' && Number(port) !== listened) {
      warnings.push(`${environmentName(url)} names port ${port}, but the door listens on ${listened}: set both`);
    }
  }
  for (const name of Object.keys(env).toSorted()) {
    if (name.startsWith('SIGNET_') && !known.has(name) && !COMMAND_LINE.has(name) && !SERVICE_LINK.test(name)) warnings.push(`${name} is not a key of the configuration and was ignored`);
  }
  if (config.databaseUrl !== undefined && config.ownerDatabaseUrl === undefined) {
    warnings.push(`${environmentName('ownerDatabaseUrl')} is not given: the service works as the owner of its tables and could change its own audit log`);
  }
  return warnings;
}
