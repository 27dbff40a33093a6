import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ApiError, createApiClient } from '../client/api-client.ts';
import { fetchTrustBundle, FingerprintMismatch } from '../client/first-contact.ts';
import { ADMIN_COMMANDS } from './commands-admin.ts';
import { AGENT_COMMANDS } from './commands-agents.ts';
import { CERTIFICATE_COMMANDS } from './commands-certificates.ts';
import { RELYING_PARTY_COMMANDS } from './commands-relying-parties.ts';
import { UsageError, type CliContext, type CliIo, type Command, type Options } from './command.ts';

export const COMMANDS: readonly Command[] = [...AGENT_COMMANDS, ...CERTIFICATE_COMMANDS, ...ADMIN_COMMANDS, ...RELYING_PARTY_COMMANDS];

/** Exit codes, documented in `signet help`. */
const EXIT = { ok: 0, refused: 1, usage: 64, unavailable: 69 } as const;

const COMMON: Options = { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } };

const ENVIRONMENT = `Environment:
  SIGNET_API_URL        API door (default https://127.0.0.1:8443)
  SIGNET_MTLS_URL       mutual TLS door (default https://127.0.0.1:8444)
  SIGNET_PUBLIC_URL     status door (default http://127.0.0.1:8080)
  SIGNET_TOKEN_FILE     file with the admin token
  SIGNET_TRUST_BUNDLE   file with the roots to trust, PEM; or
  SIGNET_FINGERPRINT    SHA-256 of the root: the bundle is then fetched from the status door and compared
Exit codes: 0 done, 1 refused by the server, 64 wrong use, 69 server not reached or not trusted.`;

/** Runs one command of the API side. Returns the exit code; answers go to `io.out`, errors with what to do next to `io.err`. */
export async function runCli(given: readonly string[], io: CliIo, localHelp: string): Promise<number> {
  const argv = given[0] === 'help' ? [...given.slice(1), '--help'] : given;
  const command = COMMANDS.find((candidate) => candidate.name.split(' ').every((word, i) => argv[i] === word));
  if (!command) {
    const words = argv.filter((word) => word !== '--help' && word !== '-h');
    const related = COMMANDS.filter(({ name }) => name.startsWith(`${words[0]} `));
    const asked = words.length === 0 || (words.length === 1 && words.length < argv.length && related.length > 0);
    const help = related.length > 0 ? `${listOf(related)}\n` : overview(localHelp);
    (asked ? io.out : io.err).write(`${asked ? '' : `signet: there is no command "${words.slice(0, 2).join(' ')}"\n\n`}${help}`);
    return asked ? EXIT.ok : EXIT.usage;
  }
  try {
    const rest = argv.slice(command.name.split(' ').length);
    const { values, positionals } = parse(command, rest);
    if (values['help'] === true) {
      io.out.write(helpOf(command));
      return EXIT.ok;
    }
    const wanted = command.positionals ?? [];
    if (positionals.length !== wanted.length) throw new UsageError(wanted.length === 0 ? 'takes no arguments' : `needs ${wanted.map((name) => `<${name}>`).join(' ')}`);
    await command.run(contextOf(io, values['json'] === true), { positionals, values });
    return EXIT.ok;
  } catch (error) {
    return explain(io, command, error);
  }
}

function parse(command: Command, args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { ...COMMON, ...command.options }, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'wrong arguments');
  }
}

function contextOf(io: CliIo, json: boolean): CliContext {
  const { env } = io;
  let bundle: Promise<string> | undefined;
  const trustBundle = () => (bundle ??= readTrustBundle(env));
  return {
    io,
    json,
    trustBundle,
    async connect(as = {}) {
      const url = as.identity ? (env['SIGNET_MTLS_URL'] ?? 'https://127.0.0.1:8444') : (env['SIGNET_API_URL'] ?? 'https://127.0.0.1:8443');
      const token = as.token ?? (as.identity ? undefined : adminToken(env));
      return createApiClient({ url, trustBundle: await trustBundle(), ...(token === undefined ? {} : { token }), ...(as.identity ? { identity: as.identity } : {}) });
    },
  };
}

function adminToken(env: CliIo['env']): string {
  const file = env['SIGNET_TOKEN_FILE'];
  if (file === undefined) throw new UsageError('SIGNET_TOKEN_FILE is not set: it names the file with the admin token (Signet prints where it put the first one)');
  return readFileSync(file, 'utf8').trim();
}

async function readTrustBundle(env: CliIo['env']): Promise<string> {
  if (env['SIGNET_TRUST_BUNDLE'] !== undefined) return readFileSync(env['SIGNET_TRUST_BUNDLE'], 'utf8');
  if (env['SIGNET_FINGERPRINT'] !== undefined) return fetchTrustBundle(env['SIGNET_PUBLIC_URL'] ?? 'http://127.0.0.1:8080', env['SIGNET_FINGERPRINT']);
  throw new UsageError('nothing to trust: set SIGNET_FINGERPRINT to the fingerprint Signet printed at its start, or SIGNET_TRUST_BUNDLE to a file with its root');
}

function explain(io: CliIo, command: Command, error: unknown): number {
  if (error instanceof UsageError) {
    io.err.write(`signet ${command.name}: ${error.message}\n\n${helpOf(command)}`);
    return EXIT.usage;
  }
  if (error instanceof ApiError) {
    io.err.write(`signet ${command.name}: ${error.message}\n`);
    for (const field of error.problem?.fields ?? []) io.err.write(`  ${field.path}: ${field.message}\n`);
    if (error.problem) io.err.write(`  next: ${error.problem.next}\n  request id: ${error.problem.requestId}\n`);
    return EXIT.refused;
  }
  io.err.write(`signet ${command.name}: ${messageOf(error)}\n`);
  if ('path' in (Object(error) as object)) {
    io.err.write('  next: check that the file is there and that you may read it (or write it)\n');
    return EXIT.usage;
  }
  if (error instanceof FingerprintMismatch) io.err.write('  next: compare the fingerprint with the one Signet printed at its start\n');
  else io.err.write('  next: check that Signet runs and that the addresses are right (signet help)\n');
  return EXIT.unavailable;
}

/** What went wrong, with the reason that `fetch` hides in its cause. A failed connection to several addresses has a code, but no message. */
function messageOf(error: unknown): string {
  const { message, code, cause } = Object(error) as { message?: string; code?: string; cause?: unknown };
  const said = message || code || 'failed';
  return cause === undefined ? said : `${said}: ${messageOf(cause)}`;
}

function listOf(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`).join('\n');
}

function overview(localHelp: string): string {
  return `signet <command> [--help] [--json]\n\n${listOf(COMMANDS)}\n\nOn the machine itself:\n${localHelp}\n\n${ENVIRONMENT}\n`;
}

function helpOf(command: Command): string {
  const options = Object.keys(command.options ?? {}).map((name) => `  --${name.padEnd(28)} ${command.help?.[name] ?? ''}`.trimEnd());
  return `signet ${command.name} ${command.usage}\n\n${command.summary}.\n\n${options.length > 0 ? `Options:\n${options.join('\n')}\n  --json${' '.repeat(24)} the answer as JSON\n\n` : ''}Example:\n  ${command.example}\n`;
}
