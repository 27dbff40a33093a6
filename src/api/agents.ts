import { z } from 'zod';
import { operation } from './operation.ts';
import { email, id, name, nothing, optional, page, paging, plain, queryInteger, seconds, text, time, timeIn } from './values.ts';

export const AGENT_STATES = ['proposed', 'active', 'suspended', 'retired'] as const;
export const RISK_CLASSES = ['minimal', 'limited', 'high'] as const;

const environment = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits and dashes');
const profile = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a profile');
const dnsName = plain(253).min(1).transform((name) => name.toLowerCase());
const labels = z.record(z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/, 'must be a label key: 1 to 63 letters, digits and . _ / -'), plain(255));

const registration = {
  deputyEmail: optional(email.nullable()),
  purpose: text(1000),
  riskClass: z.enum(RISK_CLASSES),
  environment,
  labels: optional(labels),
  dnsNames: optional(z.array(dnsName).max(64)),
  profile,
  ttlCapSeconds: optional(seconds.nullable()),
};

/** Body of a registration. Without an owner the agent is only proposed. */
export const registerAgentBody = z.strictObject({
  ...registration,
  name,
  ownerEmail: optional(email),
  riskClass: registration.riskClass.default('limited'),
  environment: registration.environment.default('production'),
  profile: registration.profile.default('agent'),
});
export type RegisterAgentBody = z.output<typeof registerAgentBody>;

/** Body of a change: only what is to change. `null` takes an optional value away. */
export const changeAgentBody = z
  .strictObject({
    ...registration,
    name: optional(name),
    ownerEmail: optional(email),
    purpose: optional(registration.purpose),
    riskClass: optional(registration.riskClass),
    environment: optional(environment),
    profile: optional(profile),
  })
  .refine((body) => Object.keys(body).length > 0, 'must change something');
export type ChangeAgentBody = z.output<typeof changeAgentBody>;

export const agent = z.object({
  id,
  name: z.string(),
  state: z.enum(AGENT_STATES),
  stateReason: z.string().nullable(),
  ownerEmail: z.string().nullable(),
  deputyEmail: z.string().nullable(),
  purpose: z.string(),
  riskClass: z.enum(RISK_CLASSES),
  environment: z.string(),
  labels: z.record(z.string(), z.string()),
  dnsNames: z.array(z.string()),
  profile: z.string(),
  ttlCapSeconds: z.int().nullable(),
  spiffeId: z.string(),
  version: z.int(),
  createdAt: time,
  updatedAt: time,
});
/** An agent as the wire shows it. */
export type AgentAnswer = z.output<typeof agent>;

/** Filters of the list of agents: all must hold. `label` is `key=value` and may be repeated. */
export const listAgentsQuery = z.strictObject({
  ...paging,
  name: optional(plain(63)),
  state: optional(z.enum(AGENT_STATES)),
  ownerEmail: optional(email),
  deputyEmail: optional(email),
  purpose: optional(plain(1000)),
  riskClass: optional(z.enum(RISK_CLASSES)),
  environment: optional(plain(32)),
  profile: optional(plain(32)),
  dnsName: optional(dnsName),
  label: optional(
    z
      .union([plain(319).transform((one) => [one]), z.array(plain(319)).max(16)])
      .refine((pairs) => pairs.every((pair) => /^[^=]{1,63}=.{0,255}$/.test(pair)), 'must be key=value')
      .transform((pairs) => Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))),
  ),
  createdAfter: optional(timeIn),
  createdBefore: optional(timeIn),
  updatedAfter: optional(timeIn),
  updatedBefore: optional(timeIn),
  ttlCapSeconds: optional(queryInteger(315_360_000)),
  certificatesExpiringBefore: optional(timeIn),
});
export type ListAgentsQuery = z.output<typeof listAgentsQuery>;

export const agentParams = z.strictObject({ agentId: id });
const reasonText = z.strictObject({ reason: optional(text(500)) });
const oneAgent = { 200: { description: 'The agent.', contentTypes: ['application/json'], schema: agent } };
const byId = { tag: 'agents', params: agentParams, query: nothing, responses: oneAgent, creates: false } as const;
const json = ['application/json'] as const;

export const registerAgent = operation({
  id: 'registerAgent', method: 'post', path: '/v1/agents', tag: 'agents', summary: 'Register an agent',
  permission: 'agents:write', params: nothing, query: nothing, body: registerAgentBody, consumes: json, creates: true,
  responses: { 201: { description: 'The agent, active when it has an owner, else proposed.', contentTypes: ['application/json'], schema: agent } },
  errors: ['agent-name-taken', 'owner-suspended', 'dns-name-reserved', 'profile-not-found', 'ttl-not-granted'],
});
export const listAgents = operation({
  id: 'listAgents', method: 'get', path: '/v1/agents', tag: 'agents', summary: 'List agents',
  permission: 'agents:read', params: nothing, query: listAgentsQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of agents, oldest first.', contentTypes: ['application/json'], schema: page(agent) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
export const getAgent = operation({ ...byId, id: 'getAgent', method: 'get', path: '/v1/agents/{agentId}', summary: 'Read an agent', permission: 'agents:read', body: nothing, consumes: [], errors: ['agent-not-found'] });
export const changeAgent = operation({
  ...byId, id: 'changeAgent', method: 'patch', path: '/v1/agents/{agentId}', summary: 'Change a registration; If-Match with the version makes it conditional',
  permission: 'agents:write', body: changeAgentBody, consumes: json,
  errors: ['agent-not-found', 'agent-changed', 'agent-retired', 'agent-name-taken', 'owner-required', 'owner-suspended', 'dns-name-reserved', 'profile-not-found', 'ttl-not-granted'],
});
export const activateAgent = operation({
  ...byId, id: 'activateAgent', method: 'post', path: '/v1/agents/{agentId}/activate', summary: 'Activate a proposed agent',
  permission: 'agents:write', body: reasonText, consumes: json, errors: ['agent-not-found', 'agent-state-conflict', 'agent-retired', 'owner-required', 'owner-suspended'],
});
export const suspendAgent = operation({
  ...byId, id: 'suspendAgent', method: 'post', path: '/v1/agents/{agentId}/suspend', summary: 'Suspend an agent: its certificates go on hold, nothing more is issued',
  permission: 'agents:suspend', body: reasonText, consumes: json, errors: ['agent-not-found', 'agent-state-conflict', 'agent-retired'],
});
export const resumeAgent = operation({
  ...byId, id: 'resumeAgent', method: 'post', path: '/v1/agents/{agentId}/resume', summary: 'Resume a suspended agent: exactly the holds of its suspension go',
  permission: 'agents:suspend', body: reasonText, consumes: json, errors: ['agent-not-found', 'agent-state-conflict', 'agent-retired', 'owner-suspended'],
});
export const retireAgent = operation({
  ...byId, id: 'retireAgent', method: 'post', path: '/v1/agents/{agentId}/retire', summary: 'Retire an agent for ever: all its certificates are revoked',
  permission: 'agents:retire', body: z.strictObject({ reason: optional(z.string().max(64)), note: optional(text(500)) }), consumes: json, errors: ['agent-not-found', 'reason-not-allowed'],
});
