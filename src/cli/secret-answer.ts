import type { ApiAnswer, ApiClient } from '../client/api-client.ts';
import { text, UsageError, type CliContext, type CommandInput, type Options } from './command.ts';
import { show, writeFileAtomic } from './output.ts';

/** The option that `createSecret` reads, and its help. */
export const SECRET_OPTIONS: Options = { out: { type: 'string' } };
export const SECRET_HELP = { out: 'file for the token, made with mode 0600' };

/**
 * Makes a token and shows it the one time it can be: on a terminal, or in a 0600 file that `--out` names.
 * @throws UsageError before anything is made, when there is neither
 */
export async function createSecret(cli: CliContext, input: CommandInput, what: string, create: (client: ApiClient) => Promise<ApiAnswer>): Promise<void> {
  const file = text(input, 'out');
  if (file === undefined && cli.io.out.isTTY !== true) throw new UsageError(`${what} is a secret: give --out <file>, or run on a terminal`);
  const answer = await create(await cli.connect());
  if (file === undefined) {
    show(cli, answer.text);
    return;
  }
  const created = JSON.parse(answer.text) as { token: string };
  writeFileAtomic(file, `${created.token}\n`, 0o600);
  show(cli, JSON.stringify({ ...created, token: undefined, file }));
}
