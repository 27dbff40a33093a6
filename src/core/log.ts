import { fstatSync } from 'node:fs';
import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';

export type { Logger };

/** `silent` writes nothing. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const CENSOR = '[redacted]';

/** Fields that never reach a log, wherever they stand in the first three levels of a record. */
const SECRET_FIELDS = [
  'authorization', 'Authorization', 'cookie', 'Cookie', '["set-cookie"]', '["proxy-authorization"]',
  'token', 'joinToken', 'secret', 'password', 'passphrase', 'privateKey', 'databaseUrl', 'ownerDatabaseUrl', 'listenDatabaseUrl',
];

const below = (parent: string, field: string): string => (field.startsWith('[') ? parent + field : `${parent}.${field}`);
const SECRET_PATHS = SECRET_FIELDS.flatMap((field) => [field, below('*', field), below('*.*', field)]);

/** Secrets known by their shape, wherever they stand in a line: Signet's own tokens, passwords in URLs, private keys in PEM. */
const SECRET_SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\b(sg[a-z]_[0-9A-HJKMNP-TV-Z]{26})_[A-Za-z0-9_-]{20,}/g, `$1_${CENSOR}`],
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@"\\]{0,200}):[^\s/@"\\]{1,500}@/gi, `$1:${CENSOR}@`],
  [/([?&](?:ssl)?password=)[^&\s"\\]{1,500}/gi, `$1${CENSOR}`],
  [/-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^"]*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|(?="|$))/g, CENSOR],
];

/** `text` with everything that looks like a secret replaced. For whatever leaves the process other than through a Logger. */
export function redactSecrets(text: string): string {
  return SECRET_SHAPES.reduce((line, [shape, replacement]) => line.replace(shape, replacement), text);
}

/**
 * JSON lines (pino), by default to standard output; written before the call returns, as far as somebody takes them, so that a killed process has said what it knew.
 * Known secret fields and everything shaped like a secret are replaced.
 */
export function createLogger(level: LogLevel, destination: DestinationStream = standardOutput()): Logger {
  return pino({ ...optionsAt(level), redact: { paths: SECRET_PATHS, censor: CENSOR } }, destination);
}

/**
 * The same for lines whose fields are all ours (ids, codes, numbers): secrets are known by their shape only. 5-8 µs a line, where looking through every field
 * for its name costs 50.
 */
export function createPlainLogger(level: LogLevel, destination: DestinationStream = standardOutput()): Logger {
  return pino(optionsAt(level), destination);
}

const optionsAt = (level: LogLevel) => ({
  level,
  timestamp: stdTimeFunctions.isoTime,
  base: { pid: process.pid },
  formatters: { level: (label: string) => ({ level: label }) },
  hooks: { streamWrite: redactSecrets },
});

/** Octets of log kept while they cannot be written; what comes then is dropped. */
const MAX_UNWRITTEN = 1_000_000;

let dropped = 0;
/** Lines that were not written since the start because nobody took them. */
export const logLinesDropped = (): number => dropped;

function standardOutput(): DestinationStream {
  const { isFIFO, isSocket } = kindOf(1);
  return isFIFO || isSocket ? pipeOutput(process.stdout) : fileOutput();
}

function kindOf(fd: number): { isFIFO: boolean; isSocket: boolean } {
  try {
    const stats = fstatSync(fd);
    return { isFIFO: stats.isFIFO(), isSocket: stats.isSocket() };
  } catch {
    return { isFIFO: false, isSocket: false };
  }
}

/** A stream as far as a log needs it, such as process.stdout. */
export interface LogPipe {
  readonly writableLength: number;
  write(text: string): unknown;
}

/**
 * A pipe or socket to whoever collects logs. What fits is written before the call returns; a reader that stopped reading costs log lines, not the service: a
 * blocking write would stop everything. Once it reads again it is told how many it missed.
 */
export function pipeOutput(pipe: LogPipe): DestinationStream {
  let missed = 0;
  return {
    write(line) {
      if (pipe.writableLength > MAX_UNWRITTEN) {
        missed++;
        dropped++;
        return;
      }
      if (missed > 0) {
        pipe.write(`{"level":"warn"${stdTimeFunctions.isoTime()},"pid":${process.pid},"dropped":${missed},"msg":"log lines were dropped: nobody read them in time"}\n`);
        missed = 0;
      }
      pipe.write(line);
    },
  };
}

/**
 * A file or a terminal, written before the call returns. A terminal that was closed or a full disk costs log lines, not the service: pino's own
 * stream would end the process for it, and then try for ever to write its last line.
 */
function fileOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: true, maxLength: MAX_UNWRITTEN });
  stream.on('error', () => undefined);
  stream.on('drop', () => dropped++);
  stream.flushSync = () => undefined;
  return stream;
}
