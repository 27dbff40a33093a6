import { z } from 'zod';

/** `nothing`: a request part that must be empty. */
export const nothing = z.strictObject({});

/** A member that may be left out, but not sent as null or undefined. */
export const optional = <T extends z.ZodType>(schema: T) => z.exactOptional(schema);

/** A ULID. */
export const id = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/, 'must be an id: 26 characters of Crockford base 32').meta({ description: 'ULID', examples: ['01KAMV3W5QZ3C1D6X2G7R8S9TB'] });

/** A name that programs and people use for a thing. */
export const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits and dashes, not starting with a dash');

/** A serial as it is sent: what is malformed is told apart later (`serial-malformed`). */
export const serial = z.string().min(1).max(128).meta({ description: 'serial number, 40 hexadecimal digits' });

/** A serial as it is answered. */
export const serialOut = z.string().regex(/^[0-9a-f]{40}$/).meta({ description: 'serial number, 40 lower-case hexadecimal digits' });

/** A SHA-256 as it is sent: 64 hexadecimal digits. */
export const sha256Hex = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits')
  .transform((hex) => hex.toLowerCase());

/** A time as it is answered: RFC 3339, UTC. */
export const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });

/** A time as it is sent: RFC 3339 with any offset. */
export const timeIn = z.iso
  .datetime({ offset: true })
  .max(40)
  .transform((text) => new Date(text))
  .refine((date) => date.getUTCFullYear() >= 1970 && date.getUTCFullYear() <= 9999, 'must lie between 1970 and 9999');

/** A count of seconds in a request. */
export const seconds = z.int().min(1).max(315_360_000);

/** What the database stores as it is, and a log shows in one line: no control characters, no halves of surrogate pairs. */
const PLAIN = /^[^\p{Cc}\p{Cs}]*$/u;

/** Tokens of ours and private keys: text is stored, shown and recorded for ever. */
const SECRET = /\bsg[a-z]_[0-7][0-9A-HJKMNP-TV-Z]{25}_[A-Za-z0-9_-]{20}|-----BEGIN [A-Z ]{0,30}PRIVATE KEY/;
const noSecret = (value: string): boolean => !SECRET.test(value);
const IS_SECRET = 'holds a token or a private key: it would be stored and shown; replace that credential now';

/** Free text of a person, without control characters and secrets. */
export const text = (max: number) => z.string().trim().min(1).max(max).regex(PLAIN, 'must not contain control characters').refine(noSecret, IS_SECRET);

/** Text taken as it is, without control characters: a filter, the value of a label. */
export const plain = (max: number) => z.string().max(max).regex(PLAIN, 'must not contain control characters').refine(noSecret, IS_SECRET);

/** An e-mail address as an accountable person's name. */
export const email = z.email().max(254).transform((address) => address.toLowerCase());

/** Numbers of a query: digits only. */
export const queryInteger = (max: number) =>
  z
    .string()
    .regex(/^[0-9]{1,15}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value <= max, `must be at most ${max}`);

/** The paging members of every list query. `limit` is cut to config `pageSizeMax`. */
export const paging = {
  cursor: optional(z.string().min(1).max(1024)),
  limit: optional(queryInteger(1_000_000).refine((value) => value >= 1, 'must be at least 1')),
};

/** One page of a list; `nextCursor` is there when more follows. */
export const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** The problem document of every error (RFC 9457). */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  code: z.string(),
  requestId: z.string(),
  next: z.string(),
  fields: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  granted: z.array(z.string()).optional(),
});
export type Problem = z.output<typeof problem>;
