import { z } from 'zod';

/** `nothing`: a request part that must be empty. */
export const nothing = z.strictObject({});

/** A member that may be left out, but not sent as null or undefined. */
export const optional = <T extends z.ZodType>(schema: T) => z.exactOptional(schema);

/** A ULID. */
export const id = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/, 'must be an id: 26 characters of Crockford base 32').meta({ id: 'Ulid', description: 'An id: a ULID, 26 characters of Crockford base 32.' });

/** A name that programs and people use for a thing. */
export const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits and dashes, not starting with a dash');

/** A serial as it is sent: what is malformed is told apart later (`serial-malformed`). */
export const serial = z
  .string()
  .min(1)
  .max(128)
  .meta({ id: 'SerialNumberAsked', pattern: '^([0-9A-Fa-f]{40}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19})$', description: 'Serial number of a certificate: 40 hexadecimal digits, in either case, with or without colons between octets.' });

/** A serial as it is answered. */
export const serialOut = z.string().regex(/^[0-9a-f]{40}$/).meta({ id: 'SerialNumber', description: 'Serial number of a certificate: 40 lower-case hexadecimal digits.' });

/** A SHA-256 as it is sent: 64 hexadecimal digits. */
export const sha256Hex = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits')
  .transform((hex) => hex.toLowerCase());

/** A time as it is answered: RFC 3339, UTC. */
export const time = z.iso.datetime().meta({ id: 'Time', description: 'A time: RFC 3339, UTC, with Z.' });

/** A time as it is sent: RFC 3339 with any offset. */
export const timeIn = z.iso
  .datetime({ offset: true, error: 'must be a time of RFC 3339, such as 2026-12-01T12:00:00Z' })
  .max(40)
  .transform((text) => new Date(text))
  .refine((date) => date.getUTCFullYear() >= 1970 && date.getUTCFullYear() <= 9999, 'must lie between 1970 and 9999');

/** Reasons a certificate of an agent may be revoked for (RFC 5280 §5.3.1). A hold has its own operation; CA reasons are not for leaves. */
export const LEAF_REASONS = ['unspecified', 'keyCompromise', 'affiliationChanged', 'superseded', 'cessationOfOperation', 'privilegeWithdrawn'] as const;

/** A reason as it is sent: one that is not allowed is told apart later (`reason-not-allowed`). */
export const reason = z.string().min(1).max(64).meta({ enum: [...LEAF_REASONS] });

/** A count of seconds in a request. */
export const seconds = z.int().min(1).max(315_360_000);

/** What the database stores as it is, and a log shows in one line: no control characters, no halves of surrogate pairs. */
const PLAIN = /^[^\p{Cc}\p{Cs}]*$/u;
/** The same for documents, in what every dialect of regular expressions has; a text must also have something in it. */
const PLAIN_PATTERN = '^[^\\x00-\\x1f\\x7f-\\x9f]*$';
const TEXT_PATTERN = '^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$';

/** Tokens of ours and private keys: text is stored, shown and recorded for ever. */
const SECRET = /\bsg[a-z]_[0-7][0-9A-HJKMNP-TV-Z]{25}_[A-Za-z0-9_-]{20}|-----BEGIN [A-Z ]{0,30}PRIVATE KEY/;
const noSecret = (value: string): boolean => !SECRET.test(value);
const IS_SECRET = 'holds a token or a private key: it would be stored and shown; replace that credential now';

/** Free text of a person, without control characters and secrets. */
export const text = (max: number) => z.string().trim().min(1).max(max).regex(PLAIN, 'must not contain control characters').refine(noSecret, IS_SECRET).meta({ pattern: TEXT_PATTERN });

/** What a person says when changing a state. */
export const why = text(500).describe('Why, in words: for the record.');

/** Body of such a change. */
export const whyBody = z.strictObject({ reason: optional(why) }).meta({ id: 'Why' });

/** Text taken as it is, without control characters: a filter, the value of a label. */
export const plain = (max: number) => z.string().max(max).regex(PLAIN, 'must not contain control characters').refine(noSecret, IS_SECRET).meta({ pattern: PLAIN_PATTERN });

/** An e-mail address as an accountable person's name. */
export const email = z.email().max(254).transform((address) => address.toLowerCase());

/** Numbers of a query: digits only. */
export const queryInteger = (max: number, min = 0) =>
  z
    .string()
    .regex(/^[0-9]{1,15}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min, `must be at least ${min}`)
    .refine((value) => value <= max, `must be at most ${max}`)
    .meta({ type: 'integer', minimum: min, maximum: max });

/** The paging members of every list query. `limit` is cut to config `pageSizeMax`. */
export const paging = {
  cursor: optional(z.string().min(1).max(1024).describe('`nextCursor` of the page before, with the same filters. Without it the list starts at its beginning.')),
  limit: optional(queryInteger(1_000_000, 1).describe('Items wanted on this page. Without it, and above it, the limits of the configuration hold (`pageSizeDefault`, `pageSizeMax`).')),
};

/** One page of a list; `nextCursor` is there when more follows. */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable().describe('Send it as `cursor` for the next page; null when nothing follows.') });

/** The problem document of every error (RFC 9457). */
export const problem = z
  .object({
    type: z.string().describe('Address of the explanation of the code, for people.'),
    title: z.string().describe('What the code means; the same for every occurrence.'),
    status: z.int().describe('The HTTP status of this answer.'),
    detail: z.string().describe('What was wrong this time; never there for `internal`.').optional(),
    code: z.string().describe('The stable code: what programs look at.'),
    requestId: z.string().describe('Names this request in the log and in the audit log; also in the `request-id` header.'),
    next: z.string().describe('What to do next.'),
    fields: z.array(z.object({ path: z.string().describe('A JSON pointer (RFC 6901) into the body, or after `/query` or `/path`.'), message: z.string() })).describe('Faults by member, of `invalid-request`.').optional(),
    granted: z.array(z.string()).describe('The names that would have been granted, of `names-not-granted`.').optional(),
  })
  .meta({ id: 'Problem', description: 'An error (RFC 9457).' });
export type Problem = z.output<typeof problem>;
