import type { ParseArgsConfig } from 'node:util';
import type { ApiClient } from '../client/api-client.ts';

export type Options = NonNullable<ParseArgsConfig['options']>;

/** What a command may touch: everything else comes from its arguments. */
export interface CliIo {
  out: { write(text: string | Uint8Array): unknown; isTTY?: boolean; columns?: number };
  err: { write(text: string): unknown };
  /** Standard input; absent where there is none. */
  in?: AsyncIterable<Uint8Array> | undefined;
  /** Variables by name; an empty value counts as not set (`variable`). */
  env: Readonly<Record<string, string | undefined>>;
  /** Asks a person yes or no; absent where nobody sits. */
  ask?: ((question: string) => Promise<boolean>) | undefined;
}

export interface CommandInput {
  positionals: string[];
  values: Record<string, string | boolean | (string | boolean)[] | undefined>;
}

/** Who a command is to the API: the holder of the API token of SIGNET_TOKEN_FILE, or somebody else. */
export type As = { token: string } | { identity: { certificate: string; key: string } } | 'anyone';

export interface CliContext {
  io: CliIo;
  json: boolean;
  /** The API door; with an identity the mutual TLS door. */
  connect(as?: As): Promise<ApiClient>;
  /** A door of plain HTTP. */
  open(door: 'status' | 'operations'): ApiClient;
  trustBundle(): Promise<string>;
}

/** What help says of a command, here or on the machine itself. */
export interface CommandHelp {
  /** As typed, e.g. `agent register`. */
  name: string;
  /** Arguments after the name, for the help text. */
  usage: string;
  summary: string;
  example: string;
  options?: Options;
  /** Each option's meaning, by its name. */
  readonly help?: Record<string, string>;
  /** Names of the required positional arguments; the last may end in `...` for one or more. */
  positionals?: string[];
  /** The last of them may be left out. */
  mayOmitLast?: boolean;
}

/** One command: `signet <noun> <verb> [arguments]`. */
export interface Command extends CommandHelp {
  /** What stands on the command line for a member of the request, by that member: `--owner` for `ownerEmail`. Not listed: a path parameter is the argument of its name. */
  terms?: Readonly<Record<string, string>>;
  /** What cannot be taken back, as a question: asked on a terminal unless `--yes` is given. */
  danger?: (input: CommandInput) => string;
  /** Returns an exit code other than 0 where the answer is no. */
  run(cli: CliContext, input: CommandInput): Promise<number | void>;
}

/** Wrong use of a command: exit 64 with its help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A variable of the environment; undefined when it is not set, or empty: what the service makes of it, too. */
export const variable = (env: CliIo['env'], name: string): string | undefined => env[name] || undefined;

export function text(input: CommandInput, option: string): string | undefined {
  const value = input.values[option];
  return typeof value === 'string' ? value : undefined;
}

export function texts(input: CommandInput, option: string): string[] | undefined {
  const value = input.values[option];
  return Array.isArray(value) ? value.map(String) : undefined;
}

export function required(input: CommandInput, option: string): string {
  const value = text(input, option);
  if (value === undefined) throw new UsageError(`--${option} is needed`);
  return value;
}

export function wholeNumber(input: CommandInput, option: string): number | undefined {
  const value = text(input, option);
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new UsageError(`--${option} must be a whole number`);
  return Number(value);
}

/** Whether an option is a time, by its name. `audit list --after` is a number. */
export const isTime = (option: string): boolean => /^before$|-(after|before)$|(^|-)(since|until)$/.test(option);

/** A date alone is its midnight, UTC. */
export const asTime = (given: string): string => (/^\d{4}-\d\d-\d\d$/.test(given) ? `${given}T00:00:00Z` : given);

/** Members without a value are left out of a request. */
export function present(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
