import { EXAMPLES } from '../api/examples/index.ts';
import type { Operation } from '../api/operation.ts';
import type { OperationId } from '../api/operations.ts';
import type { ApiCall } from '../client/api-client.ts';
import { asTime, isTime, text, texts, UsageError, wholeNumber, type Command, type CommandInput, type Options } from './command.ts';
import { meaningsOf, membersOf, type Body } from './fields.ts';
import { show } from './output.ts';
import { showPages } from './pages.ts';

const string = { type: 'string' } as const;

/** The path parameters of an operation, in order: the arguments of its command. */
const parametersOf = (operation: Operation): string[] => [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);

const paramsOf = (names: readonly string[], input: CommandInput): Record<string, string> => Object.fromEntries(names.map((name, i) => [name, input.positionals[i] ?? '']));

/** The example of a command on one thing: that of the documents. */
function exampleOf(name: string, operation: Operation, more = ''): string {
  const { params = {} } = EXAMPLES[operation.id as OperationId];
  return ['signet', name, ...parametersOf(operation).map((parameter) => params[parameter] ?? ''), ...(more === '' ? [] : [more])].join(' ');
}

/** Options and headers of what creates, or changes on a condition. */
export function headerOptions(operation: Operation): { options: Options; help: Record<string, string> } {
  return {
    options: { ...(operation.creates ? { 'idempotency-key': string } : {}), ...(operation.ifMatch === true ? { 'if-version': string } : {}) },
    help: {
      ...(operation.creates ? { 'idempotency-key': 'Name of this request: sent again with the same key it gives the same answer, and creates nothing twice.' } : {}),
      ...(operation.ifMatch === true ? { 'if-version': 'Change it only while it has this version.' } : {}),
    },
  };
}

export function headersOf(input: CommandInput): { headers?: Record<string, string> } {
  const key = text(input, 'idempotency-key');
  const version = wholeNumber(input, 'if-version');
  if (key === undefined && version === undefined) return {};
  return { headers: { ...(key === undefined ? {} : { 'idempotency-key': key }), ...(version === undefined ? {} : { 'if-match': `"${version}"` }) } };
}

export interface OneOptions {
  body?: Body;
  /** Options that must be given. */
  needs?: readonly string[];
  /** Arguments of the example after the id. */
  example?: string;
  danger?: (input: CommandInput) => string;
  /** Columns, where the answer is a list. */
  columns?: readonly string[];
}

/** A command that calls one operation on one thing and shows the answer. */
export function one(name: string, operation: Operation, summary: string, { body, needs = [], example, danger, columns }: OneOptions = {}): Command {
  const parameters = parametersOf(operation);
  const extra = headerOptions(operation);
  const options = { ...body?.options, ...extra.options };
  const usage = [...parameters.map((parameter) => `<${parameter}>`), ...needs.map((option) => `--${option} <${option}>`), ...(Object.keys(options).length > needs.length ? ['[options]'] : [])].join(' ');
  return {
    name, usage, summary, example: exampleOf(name, operation, example), options,
    get help() {
      return { ...body?.help, ...extra.help };
    },
    ...(parameters.length > 0 ? { positionals: parameters } : {}),
    ...(body ? { terms: body.terms } : {}),
    ...(danger ? { danger } : {}),
    async run(cli, input) {
      for (const option of needs) if (input.values[option] === undefined) throw new UsageError(`--${option} is needed`);
      const given = body?.of(input);
      const client = await cli.connect();
      const answer = await client.call(operation, { params: paramsOf(parameters, input), ...(given ? { body: given } : {}), ...headersOf(input) });
      show(cli, answer.text, columns);
    },
  };
}

/** Shorter names of filters, as the commands that write have them. */
const SHORT: Readonly<Record<string, string>> = { ownerEmail: 'owner', deputyEmail: 'deputy', ttlCapSeconds: 'ttl-cap' };
const kebab = (name: string): string => SHORT[name] ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const PAGING_HELP = { limit: 'Items on a page.', cursor: 'Where the page before said to go on.', all: 'All pages, one after the other.' };

/** Filters that may be repeated. */
const REPEATED: readonly string[] = ['label'];

function valueOf(input: CommandInput, option: string): string | undefined {
  const given = text(input, option);
  return given !== undefined && isTime(option) ? asTime(given) : given;
}

/** A command that shows a list: every filter of the operation is an option, and pages follow one another with `--all`. */
export function lister(name: string, operation: Operation, summary: string, columns: readonly string[], example = ''): Command {
  const parameters = parametersOf(operation);
  const members = membersOf(operation.query);
  const filters = members.filter((member) => member !== 'cursor' && member !== 'limit');
  const isPaged = members.includes('cursor');
  const words = [...parameters.map((parameter) => `<${parameter}>`), ...(filters.length > 0 ? ['[filters]'] : []), ...(isPaged ? ['[--limit <n>] [--all]'] : [])];
  return {
    name, usage: words.join(' '), summary, example: exampleOf(name, operation, example),
    ...(parameters.length > 0 ? { positionals: parameters } : {}),
    terms: Object.fromEntries(members.map((member) => [member, `--${kebab(member)}`])),
    options: { ...Object.fromEntries(filters.map((filter) => [kebab(filter), { type: 'string', multiple: REPEATED.includes(filter) }])), ...(isPaged ? { limit: string, cursor: string, all: { type: 'boolean' } } : {}) },
    get help() {
      const meanings = meaningsOf(operation.query);
      return { ...Object.fromEntries(filters.map((filter) => [kebab(filter), (meanings[filter] ?? '') + (isTime(kebab(filter)) ? ' A date alone is its midnight, UTC.' : '')])), ...(isPaged ? PAGING_HELP : {}) };
    },
    async run(cli, input) {
      const query = Object.fromEntries([...filters, ...(isPaged ? ['cursor', 'limit'] : [])].map((member) => [member, texts(input, kebab(member)) ?? valueOf(input, kebab(member))]));
      const call: ApiCall = { params: paramsOf(parameters, input), query };
      await showPages(cli, await cli.connect(), { operation, call, columns, all: input.values['all'] === true });
    },
  };
}

