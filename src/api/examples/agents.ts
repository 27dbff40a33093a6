import { AGENT_ID, INSTANCE_ID, JOIN_TOKEN, JOIN_TOKEN_ID, lastPage, SERIAL, type OperationExample } from './example.ts';

const agent = {
  id: AGENT_ID,
  name: 'invoice-reader',
  state: 'active',
  stateReason: null,
  killIds: [],
  ownerEmail: 'alice@example.org',
  deputyEmail: null,
  purpose: 'reads invoices',
  riskClass: 'limited',
  environment: 'production',
  labels: { team: 'payments' },
  dnsNames: [],
  profile: 'agent',
  ttlCapSeconds: null,
  spiffeId: `spiffe://signet.internal/agent/${AGENT_ID}`,
  version: 1,
  createdAt: '2026-11-21T10:41:47.544Z',
  updatedAt: '2026-11-21T10:41:47.544Z',
};
const changedAgent = (changes: object) => ({ 200: { 'application/json': { ...agent, version: 2, updatedAt: '2026-11-21T11:03:12.008Z', ...changes } } });
const agentId = { agentId: AGENT_ID };

const instance = {
  id: INSTANCE_ID,
  agentId: AGENT_ID,
  state: 'active',
  generation: 2,
  tipSerial: SERIAL,
  quarantineReason: null,
  killIds: [],
  enrolledBy: `join-token:${JOIN_TOKEN_ID}`,
  enrolledFrom: '10.1.2.3',
  createdAt: '2026-11-21T10:41:47.614Z',
  updatedAt: '2026-11-21T10:41:47.686Z',
};
const instanceId = { instanceId: INSTANCE_ID };

export const AGENT_EXAMPLES = {
  registerAgent: {
    description:
      'An agent is the accountable thing: it has a name, an owner and a purpose. With an owner it is `active` and may enroll; without one it is only `proposed`. Its SPIFFE ID comes from its id and never changes.',
    requests: { 'application/json': { name: 'invoice-reader', ownerEmail: 'alice@example.org', purpose: 'reads invoices', labels: { team: 'payments' } } },
    answers: { 201: { 'application/json': agent } },
  },
  listAgents: {
    description: 'All filters must hold. Oldest first; a page says where the next one starts.',
    query: { state: 'active', label: 'team=payments' },
    answers: { 200: lastPage(agent) },
  },
  getAgent: {
    description: 'With `If-None-Match` and the entity tag of an earlier answer, 304 says that nothing has changed.',
    params: agentId,
    answers: { 200: { 'application/json': agent } },
  },
  changeAgent: {
    description:
      'Only the members that are sent change; null takes an optional value away. What is granted is decided anew at the next enrollment or renewal: certificates that are out stay as they are. Send `If-Match` with the entity tag you read: 412 says that somebody else was faster.',
    params: agentId,
    requests: { 'application/json': { purpose: 'reads and files invoices', deputyEmail: 'bob@example.org' } },
    answers: changedAgent({ purpose: 'reads and files invoices', deputyEmail: 'bob@example.org' }),
  },
  activateAgent: {
    description: 'A proposed agent needs an owner first. An active one stays as it is.',
    params: agentId,
    requests: { 'application/json': { reason: 'reviewed by the platform team' } },
    answers: changedAgent({}),
  },
  suspendAgent: {
    description:
      'Nothing more is issued to it, and all its live certificates go on hold: OCSP, lists and status say so when this answers. It can be taken back. An agent that is suspended already stays as it is.',
    params: agentId,
    requests: { 'application/json': { reason: 'odd calls at night' } },
    answers: changedAgent({ state: 'suspended', stateReason: 'odd calls at night' }),
  },
  resumeAgent: {
    description: 'Takes away exactly the holds of its suspension: what an operator or a quarantine put on hold stays there.',
    params: agentId,
    requests: { 'application/json': { reason: 'it was a test' } },
    answers: changedAgent({ state: 'active', stateReason: 'it was a test' }),
  },
  retireAgent: {
    description: 'For ever: all its certificates are revoked, their keys blocked, and it never comes back. Its name is free again.',
    params: agentId,
    requests: { 'application/json': { reason: 'cessationOfOperation', note: 'replaced by another agent' } },
    answers: changedAgent({ state: 'retired', stateReason: 'replaced by another agent' }),
  },

  listInstances: {
    description: 'An instance is one enrollment and its renewals: a running copy of the agent.',
    params: agentId,
    query: { state: 'active' },
    answers: { 200: lastPage(instance) },
  },
  getInstance: { description: 'The instance with its newest certificate and where it came from.', params: instanceId, answers: { 200: { 'application/json': instance } } },
  quarantineInstance: {
    description: 'For one copy of an agent that behaves oddly: its certificates go on hold and nothing more is issued to it; the other instances go on. Signet does this by itself when two holders of one key are seen.',
    params: instanceId,
    requests: { 'application/json': { reason: 'seen from two networks' } },
    answers: { 200: { 'application/json': { ...instance, state: 'quarantined', quarantineReason: 'seen from two networks' } } },
  },
  releaseInstance: {
    description: 'Takes away exactly the holds of its quarantine, and closes its findings.',
    params: instanceId,
    requests: { 'application/json': { reason: 'a restored backup' } },
    answers: { 200: { 'application/json': instance } },
  },
  revokeInstance: {
    description: 'For ever: all its certificates are revoked and their keys blocked. The agent stays, and may enroll another instance.',
    params: instanceId,
    requests: { 'application/json': { reason: 'keyCompromise' } },
    answers: { 200: { 'application/json': { ...instance, state: 'revoked' } } },
  },

  createJoinToken: {
    description:
      'A join token lets one key enroll, once, within its life. The secret is in this answer and nowhere else; an answer that was lost is given again under the same `Idempotency-Key` for some minutes. Bind it to a network or to a key where you can.',
    params: agentId,
    requests: { 'application/json': { ttlSeconds: 600, sourceCidrs: ['10.0.0.0/8', '127.0.0.0/8'] } },
    answers: { 201: { 'application/json': { id: JOIN_TOKEN_ID, agentId: AGENT_ID, token: JOIN_TOKEN, expiresAt: '2026-11-21T10:51:47.587Z' } } },
  },
  listJoinTokens: {
    description: 'Never their secrets.',
    params: agentId,
    answers: {
      200: lastPage({
        id: JOIN_TOKEN_ID, agentId: AGENT_ID, state: 'open', sourceCidrs: ['10.0.0.0/8', '127.0.0.0/8'], boundKeyHash: null, createdBy: 'admin:01M7YV54SG3KX595SP835AS9FG',
        createdAt: '2026-11-21T10:41:47.587Z', expiresAt: '2026-11-21T10:51:47.587Z', usedAt: null, usedInstanceId: null,
      }),
    },
  },
} as const satisfies Record<string, OperationExample>;
