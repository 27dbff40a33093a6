import * as agents from '../api/agents.ts';
import * as certificates from '../api/certificates.ts';
import * as instances from '../api/instances.ts';
import * as joinTokens from '../api/join-tokens.ts';
import type { Command } from './command.ts';
import { asNumber, asPairs, asText, asTexts, asValue, bodyOf } from './fields.ts';
import { lister, one } from './from-operation.ts';
import { secretMaker } from './secret-answer.ts';

const registration = {
  name: asText('name'),
  owner: asText('ownerEmail'),
  deputy: asText('deputyEmail'),
  purpose: asText('purpose'),
  'risk-class': asText('riskClass'),
  environment: asText('environment'),
  label: asPairs('labels'),
  'dns-name': asTexts('dnsNames'),
  profile: asText('profile'),
  'ttl-cap': asNumber('ttlCapSeconds'),
};
const removal = {
  'no-deputy': asValue('deputyEmail', null, 'Take the deputy away.'),
  'no-labels': asValue('labels', {}, 'Take all labels away.'),
  'no-dns-names': asValue('dnsNames', [], 'Take all DNS names away.'),
  'no-ttl-cap': asValue('ttlCapSeconds', null, 'Take the cap on lifetimes away.'),
};
const why = { reason: asText('reason') };

export const AGENT_COMMANDS: Command[] = [
  one('agent register', agents.registerAgent, 'Register an agent', {
    body: bodyOf(agents.registerAgent, registration), needs: ['name', 'purpose'], example: '--name invoice-reader --owner alice@example.org --purpose "reads invoices"',
  }),
  lister('agent list', agents.listAgents, 'List agents', ['id', 'name', 'state', 'ownerEmail', 'profile', 'environment', 'riskClass'], '--state active --label team=payments'),
  one('agent show', agents.getAgent, 'Show an agent'),
  one('agent change', agents.changeAgent, 'Change a registration: only what is given', { body: bodyOf(agents.changeAgent, { ...registration, ...removal }), example: '--purpose "reads and files invoices"' }),
  one('agent activate', agents.activateAgent, 'Activate a proposed agent', { body: bodyOf(agents.activateAgent, why) }),
  one('agent suspend', agents.suspendAgent, 'Suspend an agent: certificates go on hold, nothing more is issued', { body: bodyOf(agents.suspendAgent, why), example: '--reason "odd calls at night"' }),
  one('agent resume', agents.resumeAgent, 'Resume a suspended agent', { body: bodyOf(agents.resumeAgent, why) }),
  one('agent retire', agents.retireAgent, 'Retire an agent for ever and revoke its certificates', {
    body: bodyOf(agents.retireAgent, { ...why, note: asText('note') }), danger: ({ positionals: [id] }) => `Retire agent ${id} for ever and revoke all its certificates?`,
  }),
  one('agent revoke-certificates', certificates.revokeAgentCertificates, 'Revoke all certificates of an agent; it may enroll again', {
    body: bodyOf(certificates.revokeAgentCertificates, why), example: '--reason keyCompromise', danger: ({ positionals: [id] }) => `Revoke all certificates of agent ${id}?`,
  }),
  lister('instance list', instances.listInstances, 'List the instances of an agent', ['id', 'state', 'generation', 'tipSerial', 'enrolledFrom', 'createdAt']),
  one('instance show', instances.getInstance, 'Show an instance'),
  one('instance quarantine', instances.quarantineInstance, 'Put an instance into quarantine', { body: bodyOf(instances.quarantineInstance, why) }),
  one('instance release', instances.releaseInstance, 'Release an instance from quarantine', { body: bodyOf(instances.releaseInstance, why) }),
  one('instance revoke', instances.revokeInstance, 'Revoke an instance and its certificates', {
    body: bodyOf(instances.revokeInstance, why), example: '--reason keyCompromise', danger: ({ positionals: [id] }) => `Revoke instance ${id} and all its certificates?`,
  }),
  secretMaker('join-token create', joinTokens.createJoinToken, 'a join token', {
    summary: 'Make a single-use join token; it is shown on a terminal or written to a 0600 file, once',
    body: bodyOf(joinTokens.createJoinToken, { ttl: asNumber('ttlSeconds'), source: asTexts('sourceCidrs'), 'key-hash': asText('boundKeyHash') }),
    example: '01M7YV5B0RBS4E4WP8XD9NKT4E --ttl 600 --out ./join-token',
  }),
  lister('join-token list', joinTokens.listJoinTokens, 'List the join tokens of an agent, never their secrets', ['id', 'state', 'expiresAt', 'usedAt', 'usedInstanceId']),
];
