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
 * JSON lines (pino), by default to standard output, written before the call returns so that a killed process has said what it knew.
 * Known secret fields and everything shaped like a secret are replaced.
 */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    timestamp: stdTimeFunctions.isoTime,
    base: { pid: process.pid },
    redact: { paths: SECRET_PATHS, censor: CENSOR },
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: redactSecrets },
  };
  return pino(options, destination ?? standardOutput());
}

/** Log lines kept while they cannot be written; beyond it they are dropped. */
const MAX_UNWRITTEN = 1_000_000;

/**
 * Standard output, written before the call returns. A terminal that was closed or a full disk costs log lines, not the service: pino's own
 * stream would end the process for it, and then try for ever to write its last line.
 */
function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: true, maxLength: MAX_UNWRITTEN });
  stream.on('error', () => undefined);
  stream.flushSync = () => undefined;
  return stream;
}
