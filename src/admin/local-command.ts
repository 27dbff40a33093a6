import { StartupError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Config } from '../config/schema.ts';
import type { CliIo, CommandInput, Options } from '../cli/command.ts';

/** What a local command is given. */
export interface LocalContext {
  io: CliIo;
  json: boolean;
  /** As the service would read it. @throws StartupError (78) */
  config(): Config;
  /** Warnings, on standard error. */
  log: Logger;
  /** Shows an answer: the record with --json, else the text. */
  show(record: Record<string, unknown>, text: string): void;
}

/** A command for whoever is on the machine: `signet <words> [options]`. */
export interface LocalCommand {
  /** As typed, e.g. `admin recover`. */
  name: string;
  /** Arguments after the name, for the help text. */
  usage: string;
  summary: string;
  example: string;
  options?: Options;
  /** Each option's meaning, by its name. */
  help?: Record<string, string>;
  /** Names of the required positional arguments. */
  positionals?: string[];
  /** What exit code 1 means here; not given: it does not happen. */
  refusal?: string;
  load(): Promise<LocalRun>;
}

/** What a local command does. Returns the exit code. @throws UsageError, Refused, StartupError */
export type LocalRun = (local: LocalContext, input: CommandInput) => Promise<number> | number;

/** Not done, for a reason that lies in the state of things: exit code 1. `next` is what to do. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly next: string;
  constructor(message: string, next: string) {
    super(message);
    this.next = next;
  }
}

/** Exit codes of local commands (sysexits), documented in their help. */
export const EXIT = { ok: 0, refused: 1, usage: 64, unavailable: 69, software: 70, cannotCreate: 73, config: 78 } as const;

/** Of a fault of the file system, as something a person can act on. */
export const cannotCreate = (file: string, error: unknown): StartupError => new StartupError(`${file} cannot be written: ${(error as Error).message}`, 73, error);
