import { z } from 'zod';
import { operation } from './operation.ts';
import { id, name, nothing, optional, page, paging, queryInteger, serialOut, time } from './values.ts';

/** What an event of the feed says happened. */
export const FEED_KINDS = [
  'revoked', 'held', 'released',
  'agent-suspended', 'agent-resumed', 'agent-retired',
  'instance-quarantined', 'instance-released', 'instance-revoked',
  'owner-suspended', 'owner-resumed',
  'issuance-stopped', 'issuance-resumed',
] as const;
export type FeedKind = (typeof FEED_KINDS)[number];

/** Why a stream ends: the member `reason` of its last event. */
export const STREAM_ENDS = ['draining', 'slow-reader', 'credential-ended', 'cursor-expired', 'failed'] as const;
export type StreamEnd = (typeof STREAM_ENDS)[number];

const feedNumber = z.int().min(0).describe('Number in the feed.');
const epoch = z.int().min(1).describe('Epoch of the cluster: another one after its database was set back.');

/** Members that only relying parties with the grant `identity`, and staff, are shown: agentId, instanceId, ownerId. */
export const feedEvent = z
  .object({
    n: feedNumber,
    kind: z.enum(FEED_KINDS),
    at: time,
    serial: optional(serialOut),
    issuerId: optional(id),
    reason: optional(z.string().describe('RFC 5280 reason.')),
    agentId: optional(id),
    instanceId: optional(id),
    ownerId: optional(id),
    stop: optional(z.string().describe('`everything`, `issuer:<id>` or `profile:<name>`.')),
    killId: optional(id),
  })
  .meta({ id: 'FeedEvent', description: 'One change that relying parties must learn of. Agent, instance and owner are told to those who may know them.' });
export type FeedEventAnswer = z.output<typeof feedEvent>;

/** Data of the first event of a stream. */
export const streamHello = z.object({ cluster: z.string(), epoch, n: feedNumber, heartbeatMs: z.int() });
/** Data of an event `key`. */
export const streamKey = z.object({ x5c: z.array(z.string().max(16_384)).min(1).max(16) });
/** Data of an event `heartbeat`. */
export const streamHeartbeat = z.object({ jws: z.string().max(4_096) });
/** Data of the last event of a stream. */
export const streamEnd = z.object({ reason: z.string(), detail: optional(z.string()) });

/** The first line of a snapshot. */
export const snapshotStart = z.object({ type: z.literal('snapshot'), cluster: z.string(), epoch, n: feedNumber, time });
/** A line between the first and the last. */
export const snapshotEntry = z.discriminatedUnion('type', [
  z.object({ type: z.literal('certificate'), serial: serialOut, status: z.enum(['revoked', 'held']), reason: z.string(), at: time, notAfter: time, agentId: optional(id), instanceId: optional(id) }),
  z.object({ type: z.literal('agent'), agentId: id, state: z.enum(['suspended', 'retired']) }),
  z.object({ type: z.literal('instance'), instanceId: id, agentId: id, state: z.enum(['quarantined', 'revoked']) }),
  z.object({ type: z.literal('owner'), ownerId: id, state: z.literal('suspended') }),
  z.object({ type: z.literal('stop'), stop: z.string() }),
]);
export type SnapshotEntry = z.output<typeof snapshotEntry>;
/** The last line of a snapshot. */
export const snapshotEnd = z.object({ type: z.literal('end'), entries: z.int(), n: feedNumber, sha256: z.string(), jws: z.string(), x5c: streamKey.shape.x5c });

/** Where a stream goes on: `<cluster>:<epoch>:<n>`, the `id` of an event, or the bare number. */
const cursor = z.string().regex(/^(?:[0-9A-Za-z_-]{1,64}:[1-9][0-9]{0,8}:)?(?:0|[1-9][0-9]{0,14})$/, 'must be a number, or <cluster>:<epoch>:<number>');
export const followQuery = z.strictObject({
  since: optional(cursor.describe('The last number that was applied, or the `id` it came with: what follows it is sent. Without it, and without `Last-Event-ID`, the stream begins now.')),
  epoch: optional(queryInteger(999_999_999, 1).describe('The epoch that a bare number belongs to.')),
});
export type FollowQuery = z.output<typeof followQuery>;
export { cursor as feedCursor };

export const enforcementPoint = z
  .object({
    id,
    relyingPartyId: id,
    name: z.string(),
    state: z.enum(['live', 'lost', 'left']).describe('`live`: its lease holds. `lost`: it ran out. `left`: it said that it goes.'),
    connected: z.boolean().describe('Its lease holds, and it was heard from within half a lease, on whichever replica: who follows renews three times in the time of one.'),
    appliedN: z.int().describe('The last number it acknowledged.'),
    appliedAt: time,
    lagNumbers: z.int().describe('Events after that.'),
    lagMs: z.int().describe('How long the oldest of them has been there; 0 when there is none.'),
    leaseUntil: time,
    lastSeenAt: time,
    registeredAt: time,
  })
  .meta({ id: 'EnforcementPoint', description: 'Somebody who follows the feed and acknowledges what they apply.' });
export type EnforcementPointAnswer = z.output<typeof enforcementPoint>;

/** What an enforcement point is told of itself. */
export const lease = z
  .object({ id, cluster: z.string(), epoch, appliedN: z.int().describe('The last number it acknowledged; never goes back.'), leaseUntil: time, leaseSeconds: z.int() })
  .meta({ id: 'EnforcementLease' });
export type LeaseAnswer = z.output<typeof lease>;

const pointAt = z.object({ id, name: z.string(), relyingPartyId: id });
/** What became of one event. */
export const propagation = z
  .object({
    event: feedEvent,
    cluster: z.string(),
    epoch,
    summary: z.string().describe('The same in one sentence.'),
    enforcementPoints: z.object({
      known: z.boolean().describe('False: the event is older than acknowledgements are kept (`acknowledgementRetentionDays`), and what follows is empty.'),
      expected: z.int().describe('Those whose lease held when the event was committed.'),
      applied: z.int(),
      appliedMs: z.int().nullable().describe('From the event to the last acknowledgement; null before the first.'),
      pending: z.array(pointAt).describe('Lease holds, not acknowledged yet.'),
      lost: z.array(pointAt).describe('Lease ran out before they acknowledged.'),
      left: z.array(pointAt).describe('Went before they acknowledged.'),
    }),
    offline: z
      .object({
        by: time.describe('From then on nobody who checks at all can take it for good.'),
        crlBy: time.nullable().describe('The latest nextUpdate of a list without it; null where none was in force.'),
        ocspBy: time.describe('The latest nextUpdate of an answer without it.'),
        notAfter: time.nullable().describe('End of the certificate: it binds both. Null when it is not known here.'),
      })
      .nullable()
      .describe('Relying parties that follow no feed. Null for events that name no certificate: those of its certificates have numbers of their own.'),
  })
  .meta({ id: 'Propagation', description: 'Who knows of an event.' });
export type PropagationAnswer = z.output<typeof propagation>;

const TAG = 'feed';
const json = ['application/json'] as const;
const params = z.strictObject({ enforcementPointId: id });
const CURSOR_ERRORS = ['feed-cursor-ahead', 'feed-cursor-expired', 'feed-other-world'] as const;

export const followRevocations = operation({
  id: 'followRevocations', method: 'get', path: '/v1/revocations/stream', tag: TAG, summary: 'Follow the live feed (server-sent events)',
  permission: 'feed:read', params: nothing, query: followQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'Events without end: `hello`, `key`, `change`, `heartbeat`, `end`.', contentTypes: ['text/event-stream'] } },
  errors: [...CURSOR_ERRORS, 'feed-full'],
});
export const getRevocationSnapshot = operation({
  id: 'getRevocationSnapshot', method: 'get', path: '/v1/revocations/snapshot', tag: TAG, summary: 'Everything that is not good now',
  permission: 'feed:read', params: nothing, query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One JSON value a line; the last proves that it is whole.', contentTypes: ['application/x-ndjson'] } },
  errors: ['feed-unavailable'],
});
export const getRevocation = operation({
  id: 'getRevocation', method: 'get', path: '/v1/revocations/{number}', tag: TAG, summary: 'Who knows of an event of the feed',
  permission: 'enforcement-points:read', params: z.strictObject({ number: queryInteger(999_999_999_999_999, 1).describe('Number of the event.') }), query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'The event, who applied it, and when everybody else must know.', contentTypes: json, schema: propagation } },
  errors: ['revocation-not-found'],
});
export const registerEnforcementPoint = operation({
  id: 'registerEnforcementPoint', method: 'post', path: '/v1/enforcement-points', tag: TAG, summary: 'Register an enforcement point of the calling relying party',
  permission: 'feed:acknowledge', params: nothing, query: nothing,
  body: z.strictObject({ name: name.describe('Unique among the enforcement points of the relying party: the same name again takes the place over.') }), consumes: json, creates: false,
  responses: { 200: { description: 'Its id and lease.', contentTypes: json, schema: lease } }, errors: ['enforcement-point-full'],
});
export const acknowledgeRevocations = operation({
  id: 'acknowledgeRevocations', method: 'post', path: '/v1/enforcement-points/{enforcementPointId}/acknowledge', tag: TAG, summary: 'Acknowledge the number that is applied, and renew the lease',
  permission: 'feed:acknowledge', params, query: nothing,
  body: z.strictObject({ n: z.int().min(0).max(999_999_999_999_999).describe('Everything up to this number is applied.'), cluster: z.string().min(1).max(64).describe('The cluster that the number belongs to.'), epoch: z.int().min(1).max(999_999_999).describe('And its epoch.') }), consumes: json, creates: false,
  responses: { 200: { description: 'What is recorded now.', contentTypes: json, schema: lease } }, errors: ['enforcement-point-not-found', 'acknowledgement-not-sent', 'feed-other-world'],
});
export const leaveEnforcementPoint = operation({
  id: 'leaveEnforcementPoint', method: 'post', path: '/v1/enforcement-points/{enforcementPointId}/leave', tag: TAG, summary: 'Say that an enforcement point goes: it is not counted from now on',
  permission: 'feed:acknowledge', params, query: nothing, body: nothing, consumes: json, creates: false,
  responses: { 204: { description: 'It is gone.', contentTypes: [] } }, errors: ['enforcement-point-not-found'],
});
export const listEnforcementPoints = operation({
  id: 'listEnforcementPoints', method: 'get', path: '/v1/enforcement-points', tag: TAG, summary: 'List enforcement points with their lag',
  permission: 'enforcement-points:read', params: nothing, query: z.strictObject({ ...paging, state: optional(z.enum(['live', 'lost', 'left']).describe('Only those in this state.')) }), body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of enforcement points, oldest first.', contentTypes: json, schema: page(enforcementPoint) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
