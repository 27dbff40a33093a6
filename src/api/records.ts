import { z } from 'zod';
import { operation } from './operation.ts';
import { id, nothing, optional, page, paging, plain, queryInteger, serial, time, timeIn, whyBody } from './values.ts';

/** An audit event: number, and its canonical record. */
export const auditEvent = z
  .object({
    n: z.string().describe('Position in the log: a decimal number, without gaps.'),
    id,
    kind: z.string(),
    outcome: z.enum(['success', 'failure']),
    at: time,
    actor: z.object({ kind: z.string(), id: z.string() }),
    requestId: z.string().nullable(),
    source: z.string().nullable(),
    agentId: z.string().nullable(),
    instanceId: z.string().nullable(),
    serial: z.string().nullable(),
    target: z.string().nullable(),
    fingerprint: z.string().nullable().describe('SHA-256 of the certificate, hexadecimal: of the one that was issued, pinned or shown.'),
    authority: z.string().nullable().describe('Id of the issuer whose key was used.'),
    onBehalfOf: z.object({ kind: z.string(), id: z.string() }).nullable().describe('For whom the actor acted: the relying party whose token it is, or whoever began what a job finished.'),
    credential: z
      .object({ kind: z.string(), id: z.string().optional(), role: z.string().optional(), serial: z.string().optional(), fingerprint: z.string().optional() })
      .nullable()
      .describe('What the actor showed, and acted by: an API token with its role, a join token, a certificate, or the database itself.'),
    traceId: z.string().nullable().describe('Trace id of the request (W3C Trace Context), 32 hexadecimal digits.'),
    detail: z.record(z.string(), z.unknown()).describe('What else there is to say, by kind.'),
    personal: z.record(z.string(), z.string().nullable()).describe('Only with `personal=true`: fields that rest beside the event, which has a salted hash of each. Null: the person was erased.').optional(),
  })
  .meta({ id: 'AuditEvent' });
export type AuditAnswer = z.output<typeof auditEvent>;

/** Filters of the audit log: all must hold. `after` starts behind a number; `cursor` continues a page. */
export const listAuditQuery = z.strictObject({
  ...paging,
  after: optional(queryInteger(999_999_999_999_999).describe('Only events behind this number.')),
  kind: optional(plain(64).describe('Only events of this kind, for instance `certificate.revoked`.')),
  outcome: optional(z.enum(['success', 'failure']).describe('Only successes, or only failures.')),
  actorKind: optional(plain(32).describe('Only what this kind of actor did: `admin`, `agent`, `join-token`, `relying-party`, `job`, `command`, `system`.')),
  actorId: optional(plain(128).describe('Only what this actor did, for instance the id of an API token.')),
  agentId: optional(id.describe('Only events of this agent.')),
  instanceId: optional(id.describe('Only events of this instance.')),
  serial: optional(serial.describe('Only events of this certificate.')),
  target: optional(plain(256).describe('Only events with this target.')),
  requestId: optional(plain(64).describe('Only events of this request.')),
  since: optional(timeIn.describe('Only events from this time on.')),
  until: optional(timeIn.describe('Only events before this time.')),
  personal: optional(z.enum(['true', 'false']).transform((flag) => flag === 'true').describe('With `true` also the personal fields: addresses, and what people gave as a reason. A copy made without them needs no erasure.')),
});
export type ListAuditQuery = z.output<typeof listAuditQuery>;

export const listAudit = operation({
  id: 'listAudit', method: 'get', path: '/v1/audit', tag: 'audit', summary: 'Read the audit log in order; the cursor never misses an event',
  permission: 'audit:read', params: nothing, query: listAuditQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of events by ascending number. A page may be empty before the end of the log: follow `nextCursor`, which is always there. At the end it is the cursor that was sent: ask again later for what follows.', contentTypes: ['application/json'], schema: page(auditEvent) } },
  errors: ['cursor-invalid', 'cursor-mismatch', 'serial-malformed'],
});

export const job = z
  .object({
    name: z.string(),
    schedule: z.string().describe('Cron expression, UTC.'),
    lastRun: z.object({ bucket: time, startedAt: time, finishedAt: time.nullable(), outcome: z.enum(['succeeded', 'failed']).nullable(), attempts: z.int(), error: z.string().nullable() }).nullable().describe('Null when it has not run yet: a job that looks often (`publish-crls`, `clear-idempotency-records`) runs only when something is due.'),
    nextRunAt: time.describe('When it is looked at next; it then runs if something is due.'),
  })
  .meta({ id: 'Job' });
export type JobAnswer = z.output<typeof job>;
export const listJobs = operation({
  id: 'listJobs', method: 'get', path: '/v1/jobs', tag: 'jobs', summary: 'Jobs with their last and next runs',
  permission: 'jobs:read', params: nothing, query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'All jobs.', contentTypes: ['application/json'], schema: z.object({ items: z.array(job) }).meta({ id: 'Jobs' }) } },
  errors: [],
});

export const finding = z
  .object({
    id,
    kind: z.string(),
    agentId: z.string().nullable(),
    instanceId: z.string().nullable(),
    serial: z.string().nullable(),
    detail: z.record(z.string(), z.unknown()),
    createdAt: time,
    resolvedAt: time.nullable().describe('When somebody had looked at it.'),
  })
  .meta({ id: 'Finding', description: 'Something that a person should look at.' });
export type FindingAnswer = z.output<typeof finding>;
export const listFindingsQuery = z.strictObject({
  ...paging,
  kind: optional(plain(64).describe('Only findings of this kind.')),
  agentId: optional(id.describe('Only findings of this agent.')),
  instanceId: optional(id.describe('Only findings of this instance.')),
  open: optional(z.enum(['true', 'false']).transform((flag) => flag === 'true').describe('Whether anybody has looked at it: with `true` only those nobody has, with `false` only the others.')),
});
export type ListFindingsQuery = z.output<typeof listFindingsQuery>;
export const listFindings = operation({
  id: 'listFindings', method: 'get', path: '/v1/findings', tag: 'findings', summary: 'Findings: signs of copied keys and other trouble',
  permission: 'findings:read', params: nothing, query: listFindingsQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of findings, oldest first.', contentTypes: ['application/json'], schema: page(finding) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
export const resolveFinding = operation({
  id: 'resolveFinding', method: 'post', path: '/v1/findings/{findingId}/resolve', tag: 'findings', summary: 'Close a finding: somebody has looked at it; an instance in quarantine stays there',
  permission: 'findings:resolve', params: z.strictObject({ findingId: id }), query: nothing, body: whyBody, consumes: ['application/json'], creates: false,
  responses: { 200: { description: 'The finding.', contentTypes: ['application/json'], schema: finding } },
  errors: ['finding-not-found'],
});
