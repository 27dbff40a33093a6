import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { parseBlock } from '../core/addresses.ts';
import { isTrustDomain } from '../core/spiffe-id.ts';
import { parseVerifierKey } from '../verify/log/note.ts';

/** What docs/config.md says of a key. */
export interface KeyDoc {
  doc: string;
  /** Unit of a number, or the kind of text. */
  unit: string;
  /** Inclusive bounds, for numbers. */
  range?: readonly [number, number];
  /** Said instead of the default where that depends on the machine, or on other keys. */
  defaultNote?: string;
}

/** Where a door listens. Port 0: any free port (tests). */
export interface ListenAddress {
  host: string;
  port: number;
}

/** Environment variables are text: a run of digits stands for a number wherever a number is wanted. */
const numeral = (value: unknown): unknown => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value);

/** A whole number with its default and bounds. */
function integer(fallback: number, range: readonly [number, number], unit: string, doc: string) {
  const [min, max] = range;
  const fault = `must be a whole number from ${min} to ${max} (${unit})`;
  const schema = z.preprocess(numeral, z.int({ error: fault }).min(min, { error: fault }).max(max, { error: fault }));
  return schema.default(fallback).meta({ doc, unit, range } satisfies KeyDoc);
}

export const seconds = (fallback: number, range: readonly [number, number], doc: string) => integer(fallback, range, 'seconds', doc);
export const milliseconds = (fallback: number, range: readonly [number, number], doc: string) => integer(fallback, range, 'milliseconds', doc);
export const days = (fallback: number, range: readonly [number, number], doc: string) => integer(fallback, range, 'days', doc);
export const count = (fallback: number, range: readonly [number, number], doc: string) => integer(fallback, range, 'count', doc);
/** A sustained rate; 0: no limit. */
export const perSecond = (fallback: number, doc: string) => integer(fallback, [0, 1_000_000], 'a second', doc);
export const octets = (fallback: number, range: readonly [number, number], doc: string) => integer(fallback, range, 'octets', doc);

/** How many of something run side by side; `auto` is one a core, at most `autoMax`. */
export function parallelism(autoMax: number, range: readonly [number, number], doc: string) {
  const [min, max] = range;
  const fault = `must be \`auto\` or a whole number from ${min} to ${max}`;
  const schema = z.preprocess((value) => (value === 'auto' ? Math.min(autoMax, availableParallelism()) : numeral(value)), z.int({ error: fault }).min(min, { error: fault }).max(max, { error: fault }));
  return schema.prefault('auto').meta({ doc, unit: '`auto` or count', range, defaultNote: `\`auto\`: one a core, at most ${autoMax}` } satisfies KeyDoc);
}

/** One of a few words. */
export function choice<const T extends readonly [string, ...string[]]>(words: T, fallback: T[number], doc: string) {
  return z.enum(words, { error: `must be one of ${words.join(', ')}` }).default(fallback as never).meta({ doc, unit: words.map((word) => `\`${word}\``).join(', ') } satisfies KeyDoc);
}

const filePath = z.string().min(1).max(4096).refine((path) => !path.includes('\0'), { error: 'must be a file path' });

/** A path; relative ones are taken from the working directory. No default. */
export const optionalPath = (doc: string, defaultNote?: string) => filePath.optional().meta({ doc, unit: 'path', ...(defaultNote === undefined ? {} : { defaultNote }) } satisfies KeyDoc);
/** A path whose default depends on the machine: load.ts puts it in. */
export const machinePath = (defaultNote: string, doc: string) => filePath.meta({ doc, unit: 'path', defaultNote } satisfies KeyDoc);

/** A PostgreSQL address. Faults never repeat the value: it may hold a password. */
export function optionalDatabaseUrl(doc: string, defaultNote: string) {
  const fault = 'must be postgresql://user:password@host:port/database';
  const schema = z.string({ error: fault }).refine((text) => {
    const url = URL.parse(text);
    return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.pathname.length > 1;
  }, { error: fault });
  return schema.optional().meta({ doc, unit: 'URL', defaultNote } satisfies KeyDoc);
}

/** A base URL that is printed into certificates and documents: no credentials, query or fragment; a trailing slash is taken off. */
export function baseUrl(schemes: readonly ('http' | 'https')[], fallback: string, doc: string) {
  const fault = `must be ${schemes.map((scheme) => `${scheme}://`).join(' or ')}host[:port][/path] in ASCII, at most 200 characters, without user, query or fragment`;
  const wellFormed = (text: string): boolean => {
    const url = URL.parse(text);
    const scheme = schemes.find((name) => url?.protocol === `${name}:`);
    return url !== null && scheme !== undefined && text.length <= 200 && /^[\x21-\x7e]+$/.test(text) && !/[?#@\\]/.test(text) && text.startsWith(`${scheme}://`);
  };
  return z
    .string({ error: fault })
    .refine(wellFormed, { error: fault })
    .transform((text) => text.replace(/\/+$/, ''))
    .default(fallback)
    .meta({ doc, unit: 'URL' } satisfies KeyDoc);
}

const LISTEN = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/;

function parseListenAddress(text: string): ListenAddress | undefined {
  const [, ipv6, name, port] = LISTEN.exec(text) ?? [];
  const host = ipv6 ?? name;
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

/** `host:port` of a door. */
export function listenAddress(fallback: ListenAddress, doc: string) {
  const fault = 'must be host:port, with an IPv6 address in brackets';
  return z
    .string({ error: fault })
    .transform((text, context): ListenAddress => {
      const address = parseListenAddress(text);
      if (address !== undefined) return address;
      context.addIssue({ code: 'custom', message: fault });
      return z.NEVER;
    })
    .default(fallback)
    .meta({ doc, unit: 'host:port' } satisfies KeyDoc);
}

/** Blocks of addresses: a list, or text with commas. A block that holds every address is refused: it says nothing. */
export function addressBlocks(doc: string, defaultNote: string) {
  const fault = 'must be addresses or blocks of them, such as 10.1.2.3 or 10.1.0.0/24, with commas between; a block of every address is refused';
  const isBlock = (text: string): boolean => (parseBlock(text)?.prefix ?? 0) > 0;
  const listed = (value: unknown): unknown => (typeof value === 'string' ? value.split(',').map((block) => block.trim()) : value);
  return z
    .preprocess(listed, z.array(z.string({ error: fault }).refine(isBlock, { error: fault }), { error: fault }).max(256, { error: fault }))
    .default([])
    .meta({ doc, unit: 'addresses', defaultNote } satisfies KeyDoc);
}

/** A witness of the audit log: where it is asked (C2SP tlog-witness), and its key (C2SP signed-note verifier key, cosignature/v1). */
export interface WitnessAddress {
  url: string;
  vkey: string;
}

/** Witnesses: a list, or text with commas; each is a URL, a blank and a verifier key. */
export function witnesses(doc: string, defaultNote: string) {
  const fault = 'must be `<submission prefix URL> <verifier key>` with commas between, at most 16, each key once; https, or http where outgoing requests may go so; keys of type cosignature/v1';
  const listed = (value: unknown): unknown => (typeof value === 'string' ? value.split(',').map((one) => one.trim()) : value);
  const parse = (text: string): WitnessAddress | undefined => {
    const [address = '', vkey = '', ...more] = text.split(/ +/);
    const url = URL.parse(address);
    if (more.length > 0 || url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '' || /[?#]/.test(address) || address.length > 500) return undefined;
    try {
      return parseVerifierKey(vkey).type === 'cosignature' ? { url: address.replace(/\/+$/, ''), vkey } : undefined;
    } catch {
      return undefined;
    }
  };
  const isWitness = (text: string): boolean => parse(text) !== undefined;
  const keyNames = (found: readonly string[]): string[] => found.map((text) => parse(text)?.vkey.split('+')[0] ?? '');
  return z
    .preprocess(listed, z.array(z.string({ error: fault }).refine(isWitness, { error: fault }), { error: fault }).max(16, { error: fault }))
    .refine((found) => new Set(keyNames(found)).size === found.length, { error: fault })
    .transform((found) => found.map(parse).filter((one) => one !== undefined))
    .prefault([])
    .meta({ doc, unit: 'URL and key', defaultNote } satisfies KeyDoc);
}

/** A SPIFFE trust domain. */
export const trustDomain = (fallback: string, doc: string) =>
  z
    .string()
    .refine(isTrustDomain, { error: 'must be a SPIFFE trust domain: at most 255 of a-z 0-9 . - _' })
    .default(fallback)
    .meta({ doc, unit: 'name' } satisfies KeyDoc);

/** A name that stands in certificates. At most 64 characters (RFC 5280 appendix A, ub-organization-name). */
export const displayName = (fallback: string, doc: string) =>
  z
    .string()
    .refine((text) => /^[^\p{C}]{1,64}$/u.test(text) && text.trim() === text, { error: 'must be 1 to 64 printable characters' })
    .default(fallback)
    .meta({ doc, unit: 'text' } satisfies KeyDoc);

/** A short word of free choice. */
export const word = (fallback: string, doc: string) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/, { error: 'must be 1 to 32 of A-Z a-z 0-9 _ -' })
    .default(fallback)
    .meta({ doc, unit: 'text' } satisfies KeyDoc);
