import type { Problem } from '../api/values.ts';
import { ApiError } from '../client/api-client.ts';
import { FingerprintMismatch } from '../client/first-contact.ts';
import { OcspAnswerError } from '../client/ocsp.ts';
import { UsageError, type CliIo, type Command } from './command.ts';
import { EXIT, TRY_AGAIN } from './exit.ts';
import { helpOf } from './help.ts';

/** Says on standard error what went wrong and what to do next. Returns the exit code. */
export function explain(io: CliIo, command: Command, error: unknown): number {
  const say = (line: string) => void io.err.write(`${line.replaceAll(/[^\P{Cc}\n]/gu, ' ')}\n`);
  if (error instanceof UsageError) {
    say(`signet ${command.name}: ${error.message}\n\n${helpOf(command)}`.trimEnd());
    return EXIT.usage;
  }
  if (error instanceof ApiError) {
    explainRefusal(say, command, error);
    return TRY_AGAIN.includes(error.status) ? EXIT.tryAgain : EXIT.refused;
  }
  say(`signet ${command.name}: ${messageOf(error)}`);
  if ('path' in (Object(error) as object)) {
    say('  next: check that the file is there and that you may read it (or write it)');
    return EXIT.usage;
  }
  if (error instanceof FingerprintMismatch) say('  next: compare the fingerprint with the one Signet printed at its start');
  else if (error instanceof OcspAnswerError) say('  next: believe nothing of this answer; check the address of the status door and the clock');
  else say('  next: check that Signet runs and that the addresses are right (signet help environment)');
  return EXIT.unavailable;
}

function explainRefusal(say: (line: string) => void, command: Command, error: ApiError): void {
  const { problem, retryAfterSeconds } = error;
  const fields = problem?.fields ?? [];
  // The detail of a request that is not valid is its first fault, and names members of the wire.
  if (problem?.code === 'invalid-request' && fields.length > 0) say(`signet ${command.name}: ${fields.map((fault) => told(command, fault)).join('\n  ')}`);
  else {
    say(`signet ${command.name}: ${inTerms(command, error.message)}`);
    for (const fault of fields) say(`  ${told(command, fault)}`);
  }
  if (problem?.granted) say(`  granted: ${problem.granted.join(', ')}`);
  if (retryAfterSeconds !== undefined) say(`  try again in ${retryAfterSeconds} s`);
  if (!problem) return;
  say(`  next: ${fields.length > 0 ? `correct it and repeat the command; signet ${command.name} --help explains it` : inTerms(command, problem.next)}\n  request id: ${problem.requestId}`);
}

/** Members of the request, where a text names them, as what was typed: those with a capital letter, which is no word. */
const inTerms = ({ terms = {} }: Command, said: string): string => said.replaceAll(/\b[a-z]+[A-Z]\w*\b/g, (word) => (Object.hasOwn(terms, word) ? (terms[word] ?? word) : word));

/** A fault of a member of the request, told of the option or argument that was typed. */
function told({ terms }: Command, { path, message }: NonNullable<Problem['fields']>[number]): string {
  const steps = path.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const isParameter = steps[0] === 'path' && steps.length > 1;
  const [member = '', part] = isParameter || (steps[0] === 'query' && steps.length > 1) ? steps.slice(1) : steps;
  const term = terms?.[member] ?? (isParameter ? `<${member}>` : member);
  // Of an option that may be repeated: which one, or the name in `name=value`.
  const which = part === undefined ? '' : /^\d+$/.test(part) ? ` (number ${Number(part) + 1})` : ` ${part}`;
  return `${term}${which}: ${message}`.replace(/^: /, '');
}

/** What went wrong, with the reason that `fetch` hides in its cause. A failed connection to several addresses has a code, but no message. */
function messageOf(error: unknown): string {
  const { message, code, cause } = Object(error) as { message?: string; code?: string; cause?: unknown };
  const said = message || code || 'failed';
  return cause === undefined ? said : `${said}: ${messageOf(cause)}`;
}
