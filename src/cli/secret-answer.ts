import { existsSync, realpathSync } from 'node:fs';
import type { Operation } from '../api/operation.ts';
import type { ApiAnswer, ApiClient } from '../client/api-client.ts';
import { text, UsageError, variable, type CliContext, type Command, type CommandInput, type Options } from './command.ts';
import type { Body } from './fields.ts';
import { headerOptions, headersOf } from './from-operation.ts';
import { draftFile, show } from './output.ts';

/** The option that `createSecret` reads, and its help. */
export const SECRET_OPTIONS: Options = { out: { type: 'string' } };
export const SECRET_HELP = { out: 'File for the token, made with mode 0600.' };

/**
 * Makes a token and shows it the one time it can be: on a terminal, or in a 0600 file that `--out` names.
 * Before anything is made it throws a UsageError when there is neither, and what the file system says when the file cannot be written: nobody would know the token.
 */
export async function createSecret(cli: CliContext, input: CommandInput, what: string, create: (client: ApiClient) => Promise<ApiAnswer>): Promise<void> {
  const file = text(input, 'out');
  if (file === undefined && cli.io.out.isTTY !== true) throw new UsageError(`${what} is a secret: give --out <file>, or run on a terminal`);
  if (file !== undefined) assertReplaceable(file, variable(cli.io.env, 'SIGNET_TOKEN_FILE'));
  const draft = file === undefined ? undefined : draftFile(file, 0o600);
  const answer = await cli.connect().then(create).catch((error: unknown) => {
    draft?.discard();
    throw error;
  });
  if (draft === undefined) {
    show(cli, answer.text);
    return;
  }
  const created = JSON.parse(answer.text) as { token: string };
  draft.keep(`${created.token}\n`);
  show(cli, JSON.stringify({ ...created, token: undefined, file }));
}

/** What is there may be the only copy of another token; the caller's own file may be replaced, by a rotation. @throws UsageError */
function assertReplaceable(file: string, own: string | undefined): void {
  if (!existsSync(file) || (own !== undefined && existsSync(own) && realpathSync(own) === realpathSync(file))) return;
  throw new UsageError(`${file} exists, and may hold another token: choose another name, or remove it first`);
}

/** A command that makes a token: as `one`, but the answer is a secret. */
export function secretMaker(name: string, operation: Operation, what: string, { summary, body, needs = [], example }: { summary: string; body: Body; needs?: readonly string[]; example: string }): Command {
  const parameters = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, parameter = '']) => parameter);
  const extra = headerOptions(operation);
  return {
    name, summary, example: `signet ${name} ${example}`,
    usage: [...parameters.map((parameter) => `<${parameter}>`), ...needs.map((option) => `--${option} <${option}>`), '[--out <file>] [options]'].join(' '),
    options: { ...body.options, ...SECRET_OPTIONS, ...extra.options },
    get help() {
      return { ...body.help, ...SECRET_HELP, ...extra.help };
    },
    positionals: parameters,
    terms: body.terms,
    async run(cli, input) {
      for (const option of needs) if (input.values[option] === undefined) throw new UsageError(`--${option} is needed`);
      const params = Object.fromEntries(parameters.map((parameter, i) => [parameter, input.positionals[i] ?? '']));
      const call = { params, body: body.of(input), ...headersOf(input) };
      await createSecret(cli, input, what, (client) => client.call(operation, call));
    },
  };
}
