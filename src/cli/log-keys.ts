import { logTrust } from '../verify/log/issuance-proof.ts';
import type { CheckpointTrust } from '../verify/log/checkpoint.ts';
import { LogError } from '../verify/log/log-error.ts';
import { required, texts, UsageError, wholeNumber, type CommandInput } from './command.ts';
import { readGiven } from './given-file.ts';

/** A verifier key, or a file with one. */
const keyOf = (given: string, option: string): string => (/^[^+\s]+\+[0-9a-f]{8}\+/.test(given) ? given : readGiven(given, `--${option}`).trim());

/** Whom to believe: --log-key, --witness and --quorum. @throws UsageError for keys that cannot be read */
export function trustOf(input: CommandInput): CheckpointTrust {
  const logKey = keyOf(required(input, 'log-key'), 'log-key');
  const witnesses = (texts(input, 'witness') ?? []).map((key) => keyOf(key, 'witness'));
  const quorum = wholeNumber(input, 'quorum') ?? 0;
  if (quorum > witnesses.length) throw new UsageError('--quorum asks for more witnesses than were given');
  try {
    return logTrust({ logKey, witnesses, quorum });
  } catch (error) {
    if (error instanceof LogError) throw new UsageError(error.message);
    throw error;
  }
}
