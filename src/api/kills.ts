import { z } from 'zod';
import { operation } from './operation.ts';
import { email, id, nothing, optional, page, paging, plain, reason, serial, serialOut, time, why, whyBody } from './values.ts';

export const KILL_EFFECTS = ['suspend', 'revoke', 'retire'] as const;
export const KILL_STATES = ['running', 'done', 'resuming', 'resumed'] as const;

const labelKey = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/, 'must be a label key: 1 to 63 letters, digits and . _ / -');

/** What is meant: exactly one member, judged by revocation/selection.ts (`selector-invalid`), so that what is left out never means everything. */
export const selector = z
  .strictObject({
    serial: optional(serial),
    instanceId: optional(id.describe('One instance.')),
    agentId: optional(id.describe('One agent and all it holds.')),
    owner: optional(z.union([id, email]).describe('An owner, by e-mail address or id: all agents of that person, and what they hold.')),
    labels: optional(z.record(labelKey, plain(255)).describe('Agents that have all of these labels with these values; at least one.')),
    issuerId: optional(id.describe('Everything a certain issuer issued.')),
    profile: optional(z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a profile').describe('Everything issued under a profile.')),
    everything: optional(z.literal(true).describe('Everything, and what would be registered or issued from now on.')),
  })
  .meta({ id: 'Selector', description: 'What is meant: exactly one member.' });
export type SelectorInput = z.output<typeof selector>;

export const killBody = z.strictObject({
  selector,
  effect: z.enum(KILL_EFFECTS).default('suspend').describe('`suspend` can be taken back as a whole. `revoke` and `retire` are for ever; what they suspend besides can be taken back.'),
  reason: why,
  revocationReason: optional(reason.describe('RFC 5280 reason of the revocations; without it `unspecified`, or `cessationOfOperation` for `retire`.')),
  dryRun: z.boolean().default(false).describe('Only say what would be hit. Nothing is changed.'),
  confirm: optional(z.string().min(1).max(512).describe('`confirm` of the dry run, where one is demanded: for a few minutes, for this caller, selector and effect, and while not much more would be hit than it said.')),
  renewWithinSeconds: optional(z.int().min(0).max(604_800).describe('Also move the renewal windows of what is meant to within so many seconds from now: for when it is resumed.')),
});
export type KillBody = z.output<typeof killBody>;

const counts = {
  owners: z.int(),
  agents: z.int(),
  instances: z.int(),
  certificates: z.int(),
};

/** What a kill would hit. */
export const killPreview = z
  .object({
    selector,
    effect: z.enum(KILL_EFFECTS),
    ...counts,
    isExact: z.boolean().describe('Whether all certificates were counted; else there are at least so many.'),
    agentsHit: z.array(z.object({ id, name: z.string(), state: z.string() })).describe('The first of the agents.'),
    certificatesHit: z.array(z.object({ serial: serialOut, agentId: id, instanceId: id, notAfter: time, status: z.enum(['good', 'held']) })).describe('Some of the certificates.'),
    needsConfirm: z.boolean().describe('Whether the kill must carry `confirm`.'),
    confirm: z.string().describe('What confirms this kill.'),
    confirmUntil: time,
  })
  .meta({ id: 'KillPreview', description: 'What a kill would hit; nothing was changed.' });
export type KillPreviewAnswer = z.output<typeof killPreview>;

export const kill = z
  .object({
    id,
    selector,
    effect: z.enum(KILL_EFFECTS),
    reason: z.string(),
    revocationReason: z.string().nullable(),
    state: z.enum(KILL_STATES).describe('`running`: nothing more is issued, certificates follow. `done`. `resuming`: being taken back. `resumed`.'),
    actor: z.object({ kind: z.string(), id: z.string() }),
    owners: z.int().describe('Owners suspended.'),
    agents: z.int().describe('Agents suspended or retired.'),
    instances: z.int().describe('Instances quarantined or revoked.'),
    certificates: z.int().describe('Certificates held or revoked until now.'),
    released: z.int().describe('Certificates that the resume made good again until now.'),
    canResume: z.boolean().describe('Whether something of it can be taken back.'),
    createdAt: time,
    finishedAt: time.nullable(),
    resumedAt: time.nullable(),
  })
  .meta({ id: 'Kill', description: 'A kill: an operation over what a selector means, with an effect.' });
export type KillAnswer = z.output<typeof kill>;

export const listKillsQuery = z.strictObject({ ...paging, state: optional(z.enum(KILL_STATES).describe('Only kills in this state.')) });
const killParams = z.strictObject({ killId: id });
const json = ['application/json'] as const;
const oneKill = { description: 'The kill.', contentTypes: ['application/json'], schema: kill } as const;

/** What a selector can be refused for. */
export const SELECTOR_ERRORS = ['selector-invalid', 'serial-malformed', 'certificate-not-found', 'authority-state-conflict', 'instance-not-found', 'agent-not-found', 'owner-not-found', 'authority-not-found', 'profile-not-found'] as const;

export const killOperation = operation({
  id: 'kill', method: 'post', path: '/v1/kill', tag: 'kill switch', summary: 'Stop what a selector means, at once: suspend, revoke or retire it; or only say what would be hit',
  permission: 'kills:write', params: nothing, query: nothing, body: killBody, consumes: json, creates: false,
  responses: {
    200: { description: 'Of a dry run: what would be hit.', contentTypes: ['application/json'], schema: killPreview },
    201: { description: 'Done: every certificate that was hit is held or revoked.', contentTypes: ['application/json'], schema: kill, headers: ['location'] },
  },
  errors: [...SELECTOR_ERRORS, 'kill-effect-not-allowed', 'kill-confirmation-required', 'reason-not-allowed', 'agent-retired', 'instance-state-conflict', 'hold-conflict', 'certificate-expired'],
});
export const listKills = operation({
  id: 'listKills', method: 'get', path: '/v1/kills', tag: 'kill switch', summary: 'List kills',
  permission: 'kills:read', params: nothing, query: listKillsQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of kills, oldest first.', contentTypes: ['application/json'], schema: page(kill) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
export const getKill = operation({
  id: 'getKill', method: 'get', path: '/v1/kills/{killId}', tag: 'kill switch', summary: 'Read a kill: how far it is',
  permission: 'kills:read', params: killParams, query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: oneKill }, errors: ['kill-not-found'],
});
export const resumeKill = operation({
  id: 'resumeKill', method: 'post', path: '/v1/kills/{killId}/resume', tag: 'kill switch', summary: 'Take a kill back: exactly what it suspended, held and stopped',
  permission: 'kills:write', params: killParams, query: nothing, body: whyBody, consumes: json, creates: false,
  responses: { 200: oneKill }, errors: ['kill-not-found', 'kill-state-conflict'],
});
