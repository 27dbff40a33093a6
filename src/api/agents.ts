import { z } from 'zod';
import { operation, UNCHANGED } from './operation.ts';
import { email, id, name, nothing, optional, page, paging, plain, queryInteger, reason, seconds, text, time, timeIn, why, whyBody } from './values.ts';

export const AGENT_STATES = ['proposed', 'active', 'suspended', 'retired'] as const;
export const RISK_CLASSES = ['minimal', 'limited', 'high'] as const;

const environment = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits and dashes').describe('Where it runs, in words of your own.');
const profile = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a profile').describe('Name of the profile: lifetimes, key types and usages of its certificates.');
const dnsName = plain(253).min(1).transform((name) => name.toLowerCase());
const labels = z.record(z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/, 'must be a label key: 1 to 63 letters, digits and . _ / -'), plain(255));

const registration = {
  deputyEmail: optional(email.nullable().describe('E-mail address of the person who stands in for the owner.')),
  purpose: text(1000).describe('What the agent is for, in words.'),
  riskClass: z.enum(RISK_CLASSES).describe('How much can go wrong with it, in the classes of the EU AI Act.'),
  environment,
  labels: optional(labels.describe('Words of your own to find it by: key to value.')),
  dnsNames: optional(z.array(dnsName).max(64).describe('DNS names its certificates may carry besides the SPIFFE ID.')),
  profile,
  ttlCapSeconds: optional(seconds.nullable().describe('The longest life of its certificates, where that is shorter than what the profile allows.')),
};

const ownerEmail = email.describe('E-mail address of the person who answers for it.');

/** Body of a registration. Without an owner the agent is only proposed. */
export const registerAgentBody = z.strictObject({
  ...registration,
  name: name.describe('Unique among the agents that are not retired.'),
  ownerEmail: optional(ownerEmail),
  riskClass: registration.riskClass.default('limited'),
  environment: registration.environment.default('production'),
  profile: registration.profile.default('agent'),
});
export type RegisterAgentBody = z.output<typeof registerAgentBody>;

/** Body of a change: only what is to change. `null` takes an optional value away. */
export const changeAgentBody = z
  .strictObject({
    ...registration,
    name: optional(name.describe('Unique among the agents that are not retired.')),
    ownerEmail: optional(ownerEmail),
    purpose: optional(registration.purpose),
    riskClass: optional(registration.riskClass),
    environment: optional(environment),
    profile: optional(profile),
  })
  .refine((body) => Object.keys(body).length > 0, 'must change something')
  .meta({ minProperties: 1 });
export type ChangeAgentBody = z.output<typeof changeAgentBody>;

export const agent = z
  .object({
    id,
    name: z.string(),
    state: z.enum(AGENT_STATES).describe('`proposed`: has no owner yet. `active`: may enroll and renew. `suspended`: its certificates are on hold. `retired`: for ever.'),
    stateReason: z.string().nullable().describe('What was said when the state last changed.'),
    killIds: z.array(id).describe('Kills that cover it: it is active again when each is resumed, and its own suspension is.'),
    ownerEmail: z.string().nullable(),
    deputyEmail: z.string().nullable(),
    purpose: z.string(),
    riskClass: z.enum(RISK_CLASSES),
    environment: z.string(),
    labels: z.record(z.string(), z.string()),
    dnsNames: z.array(z.string()),
    profile: z.string(),
    ttlCapSeconds: z.int().nullable(),
    spiffeId: z.string().describe('The name in its certificates.'),
    version: z.int().describe('Goes up with each change; the `ETag` of the agent is this number in quotes.'),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'Agent', description: 'A registered agent.' });
/** An agent as the wire shows it. */
export type AgentAnswer = z.output<typeof agent>;

/** Filters of the list of agents: all must hold. `label` is `key=value` and may be repeated. */
export const listAgentsQuery = z.strictObject({
  ...paging,
  name: optional(plain(63).describe('Only the agent of this name.')),
  state: optional(z.enum(AGENT_STATES).describe('Only agents in this state.')),
  ownerEmail: optional(email.describe('Only agents of this owner.')),
  deputyEmail: optional(email.describe('Only agents with this deputy.')),
  purpose: optional(plain(1000).describe('Only agents whose purpose holds these words, in any case.')),
  riskClass: optional(z.enum(RISK_CLASSES).describe('Only agents of this risk class.')),
  environment: optional(plain(32).describe('Only agents of this environment.')),
  profile: optional(plain(32).describe('Only agents of this profile.')),
  dnsName: optional(dnsName.describe('Only agents that may have this DNS name in their certificates.')),
  label: optional(
    z
      .union([plain(319).transform((one) => [one]), z.array(plain(319)).max(16)])
      .refine((pairs) => pairs.every((pair) => /^[^=]{1,63}=.{0,255}$/.test(pair)), 'must be key=value')
      .transform((pairs) => Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])))
      .describe('Only agents with this label, as `key=value`. May be repeated: all must hold.'),
  ),
  createdAfter: optional(timeIn.describe('Only agents registered after this time.')),
  createdBefore: optional(timeIn.describe('Only agents registered before this time.')),
  updatedAfter: optional(timeIn.describe('Only agents changed after this time.')),
  updatedBefore: optional(timeIn.describe('Only agents changed before this time.')),
  ttlCapSeconds: optional(queryInteger(315_360_000).describe('Only agents with this cap on the life of their certificates.')),
  certificatesExpiringBefore: optional(timeIn.describe('Only agents with a certificate that is good now and ends before this time.')),
});
export type ListAgentsQuery = z.output<typeof listAgentsQuery>;

export const agentParams = z.strictObject({ agentId: id });
const oneAgent = { 200: { description: 'The agent.', contentTypes: ['application/json'], schema: agent, headers: ['etag'] } } as const;
const byId = { tag: 'agents', params: agentParams, query: nothing, responses: oneAgent, creates: false } as const;
const json = ['application/json'] as const;

export const registerAgent = operation({
  id: 'registerAgent', method: 'post', path: '/v1/agents', tag: 'agents', summary: 'Register an agent',
  permission: 'agents:write', params: nothing, query: nothing, body: registerAgentBody, consumes: json, creates: true,
  responses: { 201: { description: 'The agent, active when it has an owner, else proposed.', contentTypes: ['application/json'], schema: agent, headers: ['location', 'etag'] } },
  errors: ['agent-name-taken', 'owner-suspended', 'dns-name-reserved', 'profile-not-found', 'ttl-not-granted', 'issuance-stopped'],
});
export const listAgents = operation({
  id: 'listAgents', method: 'get', path: '/v1/agents', tag: 'agents', summary: 'List agents',
  permission: 'agents:read', params: nothing, query: listAgentsQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of agents, oldest first.', contentTypes: ['application/json'], schema: page(agent) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
export const getAgent = operation({
  ...byId, id: 'getAgent', method: 'get', path: '/v1/agents/{agentId}', summary: 'Read an agent',
  permission: 'agents:read', body: nothing, consumes: [], responses: { ...oneAgent, 304: UNCHANGED }, errors: ['agent-not-found'],
});
export const changeAgent = operation({
  ...byId, id: 'changeAgent', method: 'patch', path: '/v1/agents/{agentId}', summary: 'Change a registration; If-Match with the version makes it conditional',
  permission: 'agents:write', body: changeAgentBody, consumes: json, ifMatch: true,
  errors: ['agent-not-found', 'agent-changed', 'agent-retired', 'agent-name-taken', 'owner-required', 'owner-suspended', 'dns-name-reserved', 'profile-not-found', 'ttl-not-granted'],
});
export const activateAgent = operation({
  ...byId, id: 'activateAgent', method: 'post', path: '/v1/agents/{agentId}/activate', summary: 'Activate a proposed agent',
  permission: 'agents:write', body: whyBody, consumes: json, errors: ['covered-by-kill', 'agent-not-found', 'agent-state-conflict', 'agent-retired', 'owner-required', 'owner-suspended'],
});
export const suspendAgent = operation({
  ...byId, id: 'suspendAgent', method: 'post', path: '/v1/agents/{agentId}/suspend', summary: 'Suspend an agent: its certificates go on hold, nothing more is issued',
  permission: 'agents:suspend', body: whyBody, consumes: json, errors: ['agent-not-found', 'agent-state-conflict', 'agent-retired'],
});
export const resumeAgent = operation({
  ...byId, id: 'resumeAgent', method: 'post', path: '/v1/agents/{agentId}/resume', summary: 'Resume a suspended agent: exactly the holds of its suspension go',
  permission: 'agents:suspend', body: whyBody, consumes: json, errors: ['agent-not-found', 'agent-state-conflict', 'agent-retired', 'owner-suspended', 'covered-by-kill'],
});
export const retireAgent = operation({
  ...byId, id: 'retireAgent', method: 'post', path: '/v1/agents/{agentId}/retire', summary: 'Retire an agent for ever: all its certificates are revoked',
  permission: 'agents:retire', body: z.strictObject({ reason: optional(reason.describe('RFC 5280 reason of the revocations; `cessationOfOperation` without it.')), note: optional(why) }), consumes: json, errors: ['agent-not-found', 'reason-not-allowed'],
});
