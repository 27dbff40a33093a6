import { ADMIN_TOKEN_ID, AGENT_ID, FINGERPRINT, INSTANCE_ID, KILL_ID, lastPage, SERIAL, STEER_ID, type OperationExample } from './example.ts';

const kill = {
  id: KILL_ID,
  selector: { labels: { team: 'payments' } },
  effect: 'suspend',
  reason: 'a key of the team was found in a public repository',
  revocationReason: null,
  state: 'done',
  actor: { kind: 'admin', id: ADMIN_TOKEN_ID },
  owners: 0,
  agents: 1,
  instances: 0,
  certificates: 2,
  released: 0,
  canResume: true,
  createdAt: '2026-11-21T12:00:00.000Z',
  finishedAt: '2026-11-21T12:00:00.084Z',
  resumedAt: null,
};
const one = { 200: { 'application/json': kill } };
const killId = { killId: KILL_ID };
const status = { serial: SERIAL, status: 'good', agentId: AGENT_ID, instanceId: INSTANCE_ID, notAfter: '2026-11-21T11:41:47.000Z' };

export const KILL_EXAMPLES = {
  kill: {
    description:
      'From the first transaction on nothing is issued to what is meant, on any replica; the answer comes when every certificate is held or revoked, and this replica says so. A replica that dies in between leaves the rest to another: `GET /v1/kills` shows it. Ask with `dryRun` first: it says what would be hit and gives `confirm`, which more than `killConfirmAbove` agents and certificates, or everything, need.',
    requests: { 'application/json': { selector: { labels: { team: 'payments' } }, effect: 'suspend', reason: 'a key of the team was found in a public repository', dryRun: true } },
    answers: {
      200: {
        'application/json': {
          selector: { labels: { team: 'payments' } }, effect: 'suspend', owners: 0, agents: 1, instances: 0, certificates: 2, isExact: true,
          agentsHit: [{ id: AGENT_ID, name: 'invoice-reader', state: 'active' }],
          certificatesHit: [{ serial: SERIAL, agentId: AGENT_ID, instanceId: INSTANCE_ID, notAfter: '2026-11-21T12:41:47.000Z', status: 'good' }],
          needsConfirm: false, confirm: 'example-not', confirmUntil: '2026-11-21T12:05:00.000Z',
        },
      },
      201: { 'application/json': kill },
    },
  },
  listKills: { description: 'With their numbers and how far they are.', query: { state: 'done' }, answers: { 200: lastPage(kill) } },
  getKill: { description: 'While it runs `certificates` grows.', params: killId, answers: one },
  resumeKill: {
    description: 'Exactly what this kill suspended, held and stopped comes back, unless something else holds it, too: a suspension or hold of an operator, a quarantine, another kill. What was revoked or retired stays so.',
    params: killId,
    requests: { 'application/json': { reason: 'the key was of no use' } },
    answers: { 200: { 'application/json': { ...kill, state: 'resumed', released: 2, canResume: false, resumedAt: '2026-11-21T13:00:00.051Z' } } },
  },
  getRenewalInfo: {
    description: 'The window that the certificate was issued with, or an earlier one that an operator moved it to. `Retry-After` says how long it holds.',
    answers: { 200: { 'application/json': { serial: SERIAL, suggestedWindow: { start: '2026-11-21T10:56:47.000Z', end: '2026-11-21T11:05:47.000Z' }, steered: false, askAgainSeconds: 300 } } },
  },
  steerRenewals: {
    description: 'For an issuer that must be left soon, or a profile that was changed: agents that ask for renewal info renew within the time given, spread over it by their serials. It covers what is out now; what is issued later has its ordinary window. It refuses nothing: that is what a kill is for.',
    requests: { 'application/json': { selector: { agentId: AGENT_ID }, withinSeconds: 600, reason: 'the profile has shorter lives now', explanationUrl: 'https://wiki.example.org/renewals' } },
    answers: { 201: { 'application/json': { id: STEER_ID, selector: { agentId: AGENT_ID }, withinSeconds: 600, certificates: 2, createdAt: '2026-11-21T12:00:00.000Z', expiresAt: '2026-11-28T13:00:00.000Z' } } },
  },
  listAgentStatuses: { description: 'For who may know whose a certificate is: staff, agents, and relying parties registered for `identity`. Certificates that have ended are left out.', params: { agentId: AGENT_ID }, answers: { 200: lastPage(status) } },
  listInstanceStatuses: { description: 'As by agent.', params: { instanceId: INSTANCE_ID }, answers: { 200: lastPage(status) } },
  getStatusByFingerprint: {
    description: 'For who keeps fingerprints instead of serials. Who it belongs to is told as with `getStatus`.',
    params: { sha256: FINGERPRINT },
    answers: { 200: { 'application/json': status } },
  },
} as const satisfies Record<string, OperationExample>;
