import { AGENT_ID, INSTANCE_ID, ISSUER_ID, lastPage, RELYING_PARTY_ID, SERIAL, type OperationExample } from './example.ts';

const POINT_ID = '01M7YVH3D0F5Y2M8T1V4W6X9ZB';
const CLUSTER_ID = '01M7YV54J0C1R5T2E3R4J5D6F7';
const enforcementPointId = { enforcementPointId: POINT_ID };
const lease = { id: POINT_ID, cluster: CLUSTER_ID, epoch: 1, appliedN: 4_711, leaseUntil: '2026-11-21T11:00:30.000Z', leaseSeconds: 30 };
const event = { n: 4_711, kind: 'revoked', at: '2026-11-21T11:00:00.012Z', serial: SERIAL, issuerId: ISSUER_ID, reason: 'keyCompromise', agentId: AGENT_ID, instanceId: INSTANCE_ID };

export const FEED_EXAMPLES = {
  followRevocations: {
    description:
      'Every change of status with its number, in order, none left out and none twice, from `since` on (or from `Last-Event-ID`, which wins). Each second a signed heartbeat says up to which number and time that is complete; without heartbeats nothing is known, and a relying party must deny. Ends with an event `end` that says why.',
    query: { since: '4710' },
    answers: { 200: { 'text/event-stream': `event: change\nid: ${CLUSTER_ID}:1:4711\ndata: ${JSON.stringify(event)}\n\n` } },
  },
  getRevocationSnapshot: {
    description: 'Certificates that are revoked or on hold, agents, instances and owners that are stopped (for those who may know them), and stops of issuance; of one moment, whose number the first and the last line name. The last line is signed over the SHA-256 of all before it.',
    answers: { 200: { 'application/x-ndjson': `{"type":"snapshot","cluster":"${CLUSTER_ID}","epoch":1,"n":4711,"time":"2026-11-21T11:00:01.000Z"}\n` } },
  },
  getRevocation: {
    description: 'Counted are the enforcement points whose lease held when the event was committed. Relying parties that follow no feed know by the time in `offline`: no list and no answer without the event is in force then.',
    params: { number: '4711' },
    answers: {
      200: {
        'application/json': {
          event, cluster: CLUSTER_ID, epoch: 1, summary: 'applied at 14 of 14 in 320 ms; offline parties: by 2026-11-21T12:04:22.000Z at the latest',
          enforcementPoints: { known: true, expected: 14, applied: 14, appliedMs: 320, pending: [], lost: [], left: [] },
          offline: { by: '2026-11-21T12:04:22.000Z', crlBy: '2026-11-21T12:04:22.000Z', ocspBy: '2026-11-21T11:10:02.012Z', notAfter: '2026-11-21T12:04:22.000Z' },
        },
      },
    },
  },
  registerEnforcementPoint: {
    description: 'Under the identity of the relying party that calls. It is counted from the answer on, for as long as its lease holds: acknowledge at least three times in that time.',
    requests: { 'application/json': { name: 'gateway-1' } },
    answers: { 200: { 'application/json': lease } },
  },
  acknowledgeRevocations: {
    description: 'Say it when everything up to the number is in force, not when it was read. A lower number than before only renews the lease; one that the feed has not reached is refused.',
    params: enforcementPointId,
    requests: { 'application/json': { n: 4_711, cluster: CLUSTER_ID, epoch: 1 } },
    answers: { 200: { 'application/json': lease } },
  },
  leaveEnforcementPoint: { description: 'For an orderly end: otherwise it is shown as lost when its lease runs out.', params: enforcementPointId, answers: { 204: {} } },
  listEnforcementPoints: {
    description: 'Lost ones stay in the list as long as the feed is kept.',
    query: { state: 'live' },
    answers: {
      200: lastPage({
        id: POINT_ID, relyingPartyId: RELYING_PARTY_ID, name: 'gateway-1', state: 'live', connected: true, appliedN: 4_711, appliedAt: '2026-11-21T11:00:00.332Z', lagNumbers: 0, lagMs: 0,
        leaseUntil: '2026-11-21T11:00:30.332Z', lastSeenAt: '2026-11-21T11:00:00.332Z', registeredAt: '2026-11-21T10:00:00.120Z',
      }),
    },
  },
} as const satisfies Record<string, OperationExample>;
