import { z } from 'zod';
import { createSchemaBook, type JsonSchema } from '../api/document/schemas.ts';
import type { Operation } from '../api/operation.ts';
import { present, text, texts, UsageError, wholeNumber, type CommandInput, type Options } from './command.ts';

/** An option that becomes a member of a request body. */
export interface Field {
  member: string;
  option: Options[string];
  read: (input: CommandInput, option: string) => unknown;
  /** Instead of what the contract says of the member. */
  help?: string;
}

const string = { type: 'string' } as const;
const many = { type: 'string', multiple: true } as const;

export const asText = (member: string): Field => ({ member, option: string, read: text });
export const asNumber = (member: string): Field => ({ member, option: string, read: wholeNumber });
export const asTexts = (member: string): Field => ({ member, option: many, read: texts });
export const asPairs = (member: string): Field => ({ member, option: many, read: pairs });
/** A flag that stands for one value: `--no-deputy` for null. */
export const asValue = (member: string, value: unknown, help: string): Field => ({ member, option: { type: 'boolean' }, read: (input, option) => (input.values[option] === true ? value : undefined), help });

function pairs(input: CommandInput, option: string): Record<string, string> | undefined {
  const given = texts(input, option)?.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`--${option} must be key=value`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return given && Object.fromEntries(given);
}

/** Options for a request body, with the help that the contract has, and how the body is made of them. */
export interface Body {
  options: Options;
  /** The option of each member. */
  terms: Readonly<Record<string, string>>;
  readonly help: Record<string, string>;
  of: (input: CommandInput) => Record<string, unknown>;
}

/** @throws TypeError when a member of the body has no option, or an option no member: then the command could not say all that the API takes */
export function bodyOf(operation: Operation, fields: Readonly<Record<string, Field>>): Body {
  const known = membersOf(operation.body);
  const members = new Set(Object.values(fields).map(({ member }) => member));
  const missing = [...known.filter((member) => !members.has(member)), ...[...members].filter((member) => !known.includes(member))];
  if (missing.length > 0) throw new TypeError(`${operation.id}: no option or no member for ${missing.join(', ')}`);
  return {
    options: Object.fromEntries(Object.entries(fields).map(([name, { option }]) => [name, option])),
    // Of several options for a member the first: --deputy, not --no-deputy.
    terms: Object.fromEntries(Object.entries(fields).map(([name, { member }]): [string, string] => [member, `--${name}`]).toReversed()),
    // Only help asks for it, and it takes as long as all else that a command is made of.
    get help() {
      const meanings = meaningsOf(operation.body);
      return Object.fromEntries(Object.entries(fields).map(([name, { member, option, help }]) => [name, (help ?? meanings[member] ?? '') + (option?.multiple === true ? ' May be repeated.' : '')]));
    },
    of(input) {
      const read = Object.entries(fields).map(([name, { member, read: value }]): [string, unknown] => [member, value(input, name)]);
      return present(Object.fromEntries(read.filter(([, value]) => value !== undefined)));
    },
  };
}

/** The members of an object of the contract. */
export const membersOf = (schema: z.ZodType): string[] => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []);

/** The members of an object of the contract with what it says of them, in plain words. */
export function meaningsOf(schema: z.ZodType): Record<string, string> {
  const book = createSchemaBook();
  const resolve = (part: JsonSchema): JsonSchema => (part.$ref === undefined ? part : { ...book.named[part.$ref.slice(part.$ref.lastIndexOf('/') + 1)], ...part });
  return Object.fromEntries(Object.entries(resolve(book.of(schema)).properties ?? {}).map(([member, part]) => [member, sayingOf(resolve(part))]));
}

function sayingOf({ description = '', enum: choices }: JsonSchema): string {
  const words = description.replaceAll('`', '');
  return choices && !choices.every((choice) => words.includes(String(choice))) ? `${words} One of ${choices.join(', ')}.`.trimStart() : words;
}
