import type { ServingDoor } from './serving.ts';

/** Version of the interface (semver): the first number is that of the path, the second goes up with what is added. */
export const API_VERSION = '1.0.0';

/** Base URLs as clients see them. */
export interface ServerAddresses {
  readonly api: string;
  readonly mtls: string;
  readonly status: string;
}

/** The servers of some doors. The operations door is the installation's own affair: its address is a variable. */
export function serversOf(doors: readonly ServingDoor[], addresses: ServerAddresses): unknown[] {
  return doors.map((door) =>
    door === 'operations'
      ? { url: 'http://{operations}', description: DOORS.operations, variables: { operations: { default: '127.0.0.1:9464', description: 'host and port of `SIGNET_OPERATIONS_LISTEN`' } } }
      : { url: addresses[door], description: DOORS[door] },
  );
}

export const DOORS: Readonly<Record<ServingDoor, string>> = {
  api: 'API door: HTTPS',
  mtls: 'mutual TLS door: HTTPS with the certificate of an enrolled instance',
  status: 'status door: plain HTTP, signed content',
  operations: 'operations door: plain HTTP, for the platform only',
};

export const TAGS = [
  { name: 'agents', description: 'Who may have certificates: registration, owner, state.' },
  { name: 'instances', description: 'Running copies of an agent: one enrollment each.' },
  { name: 'join tokens', description: 'What lets an agent enroll, once.' },
  { name: 'certificates', description: 'Enroll, renew, look up, revoke.' },
  { name: 'kill switch', description: 'Stop many at once, and take it back.' },
  { name: 'status', description: 'What relying parties ask: is this certificate good?' },
  { name: 'feed', description: 'Every change of status as it happens, and who has applied it.' },
  { name: 'authorities', description: 'The certificates of the CA itself, and their rotation.' },
  { name: 'API tokens', description: 'What people and programs use to administer.' },
  { name: 'relying parties', description: 'Who may ask for status.' },
  { name: 'audit', description: 'Who did what, and what happened by itself.' },
  { name: 'log', description: 'The audit log as a Merkle log, for whoever does not trust this service (C2SP tlog-tiles).' },
  { name: 'jobs', description: 'What runs by itself.' },
  { name: 'findings', description: 'What a person should look at.' },
  { name: 'operations', description: 'Health and metrics, for the platform.' },
  { name: 'documents', description: 'This interface, described by itself.' },
] as const;

/** Words before the operations; paragraphs apart by an empty line. */
export const INTRODUCTION = `A private certificate authority for AI agents: registered agents enroll with a join token, renew over mutual TLS, and can be cut off.

Times are RFC 3339 in UTC. Ids are ULIDs, serials 40 hexadecimal digits. Requests take exactly the members that are described; answers may get more members later: pass over what you do not know.

Lists are paged: send \`nextCursor\` as \`cursor\`, with the same filters, until it is null.

A POST that creates takes an \`Idempotency-Key\`: the same key with the same request gives the same answer, without a second creation.

Every error is \`application/problem+json\` (RFC 9457) with a stable \`code\`. An address without an operation is answered \`not-found\` or \`method-not-allowed\`. What never became a request (broken, too long, too slow) is answered 400, 408, 413 or 431 with a problem of type \`about:blank\`.

HEAD is answered wherever GET is.`;

export const SECURITY_SCHEMES = {
  apiToken: { type: 'http', scheme: 'bearer', bearerFormat: 'sga_…', description: 'An API token, made with `POST /v1/admin-tokens`; the first one is made at the first start. Its role, its scopes and its relying party decide what it may do.' },
  joinToken: { type: 'http', scheme: 'bearer', bearerFormat: 'sgj_…', description: 'A join token, made with `POST /v1/agents/{agentId}/join-tokens`: works once.' },
  clientCertificate: { type: 'mutualTLS', description: 'The certificate of an enrolled instance, or for status one that is pinned to a relying party, shown on the mutual TLS door and judged on every request.' },
} as const;

const string = { type: 'string' } as const;

export const PARAMETERS = {
  IdempotencyKey: {
    name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' }, example: '7d1f2a8e-5b0c-4a52-9e0f-3c6b8d1e4f70',
    description: 'A name of your own for this request: repeated with the same key it gives the same answer. With another body it is refused.',
  },
  IfMatch: { name: 'If-Match', in: 'header', required: false, schema: { type: 'string', pattern: '^"[0-9]{1,9}"$' }, example: '"1"', description: 'The entity tag of what was read: 412 when it was changed meanwhile.' },
  IfNoneMatch: { name: 'If-None-Match', in: 'header', required: false, schema: string, description: 'Entity tag of an earlier answer: 304 when it is still the same.' },
} as const;

export const HEADERS = {
  'request-id': { description: 'Names this request in the log and in the audit log.', schema: string },
  'cache-control': { description: 'How long it may be kept.', schema: string },
  etag: { description: 'Entity tag of what is answered.', schema: string },
  location: { description: 'Where what was created can be read.', schema: string },
  'idempotency-replayed': { description: '`true` when this is the answer to an earlier request with the same Idempotency-Key.', schema: string },
  'retry-after': { description: 'Seconds after which a retry makes sense.', schema: { type: 'integer' } },
  'ratelimit-policy': { description: 'The limits this request was counted by: name, quota `q`, and the seconds `w` in which all of it comes back (draft-ietf-httpapi-ratelimit-headers).', schema: string },
  ratelimit: { description: 'What is left of each: `r` requests now, and the seconds `t` until there is more.', schema: string },
  'www-authenticate': { description: 'How to authenticate, where a token is wanted.', schema: string },
} as const;
