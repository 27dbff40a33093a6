import { ApiError } from '../client/api-client.ts';
import { FingerprintMismatch } from '../client/first-contact.ts';
import { OcspAnswerError } from '../client/ocsp.ts';
import { UsageError, type CliIo, type Command } from './command.ts';
import { EXIT } from './exit.ts';
import { helpOf } from './help.ts';

/** Says on standard error what went wrong and what to do next. Returns the exit code. */
export function explain(io: CliIo, command: Command, error: unknown): number {
  const say = (line: string) => void io.err.write(`${line.replaceAll(/[^\P{Cc}\n]/gu, ' ')}\n`);
  if (error instanceof UsageError) {
    say(`signet ${command.name}: ${error.message}\n\n${helpOf(command)}`.trimEnd());
    return EXIT.usage;
  }
  say(`signet ${command.name}: ${messageOf(error)}`);
  if (error instanceof ApiError) return explainRefusal(say, error);
  if ('path' in (Object(error) as object)) {
    say('  next: check that the file is there and that you may read it (or write it)');
    return EXIT.usage;
  }
  if (error instanceof FingerprintMismatch) say('  next: compare the fingerprint with the one Signet printed at its start');
  else if (error instanceof OcspAnswerError) say('  next: believe nothing of this answer; check the address of the status door and the clock');
  else say('  next: check that Signet runs and that the addresses are right (signet help environment)');
  return EXIT.unavailable;
}

/** Statuses after which the same request may be sent again. */
const TRY_AGAIN: readonly number[] = [408, 429, 502, 503, 504, 507];

function explainRefusal(say: (line: string) => void, { status, problem, retryAfterSeconds }: ApiError): number {
  for (const field of problem?.fields ?? []) say(`  ${field.path}: ${field.message}`);
  if (problem?.granted) say(`  granted: ${problem.granted.join(', ')}`);
  if (retryAfterSeconds !== undefined) say(`  try again in ${retryAfterSeconds} s`);
  if (problem) say(`  next: ${problem.next}\n  request id: ${problem.requestId}`);
  return TRY_AGAIN.includes(status) ? EXIT.tryAgain : EXIT.refused;
}

/** What went wrong, with the reason that `fetch` hides in its cause. A failed connection to several addresses has a code, but no message. */
function messageOf(error: unknown): string {
  const { message, code, cause } = Object(error) as { message?: string; code?: string; cause?: unknown };
  const said = message || code || 'failed';
  return cause === undefined ? said : `${said}: ${messageOf(cause)}`;
}
