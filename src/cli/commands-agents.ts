import * as agents from '../api/agents.ts';
import * as instances from '../api/instances.ts';
import * as joinTokens from '../api/join-tokens.ts';
import type { Operation } from '../api/operation.ts';
import * as records from '../api/records.ts';
import { present, required, text, texts, UsageError, wholeNumber, type CliContext, type Command, type CommandInput, type Options } from './command.ts';
import { show } from './output.ts';
import { createSecret, SECRET_HELP, SECRET_OPTIONS } from './secret-answer.ts';

const string = { type: 'string' } as const;
const many = { type: 'string', multiple: true } as const;
const paging: Options = { cursor: string, limit: string };

const registration: Options = {
  owner: string, deputy: string, purpose: string, 'risk-class': string, environment: string, label: many, 'dns-name': many, profile: string, 'ttl-cap': string,
};
const registrationHelp = {
  owner: 'e-mail address of the accountable person; without one the agent is only proposed',
  deputy: 'e-mail address of the deputy',
  'risk-class': 'minimal, limited or high',
  label: 'key=value, may be repeated',
  'dns-name': 'DNS name the agent may have in its certificates, may be repeated',
  'ttl-cap': 'longest certificate life, seconds',
};

function registrationOf(input: CommandInput): Record<string, unknown> {
  const labels = texts(input, 'label')?.map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError('--label must be key=value');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return present({
    ownerEmail: text(input, 'owner'),
    deputyEmail: text(input, 'deputy'),
    purpose: text(input, 'purpose'),
    riskClass: text(input, 'risk-class'),
    environment: text(input, 'environment'),
    labels: labels && Object.fromEntries(labels),
    dnsNames: texts(input, 'dns-name'),
    profile: text(input, 'profile'),
    ttlCapSeconds: wholeNumber(input, 'ttl-cap'),
  });
}

/** A command that calls one operation on one thing and shows the answer. */
export function onOne(name: string, parameter: string, operation: Operation, summary: string, body?: { options: Options; help: Record<string, string>; of: (input: CommandInput) => unknown }): Command {
  return {
    name,
    usage: `<${parameter}>${body ? ' [options]' : ''}`,
    summary,
    example: `signet ${name} 01KAMV3W5QZ3C1D6X2G7R8S9TB`,
    positionals: [parameter],
    ...(body ? { options: body.options, help: body.help } : {}),
    async run(cli, input) {
      const client = await cli.connect();
      const answer = await client.call(operation, { params: { [parameter]: input.positionals[0] ?? '' }, ...(body ? { body: body.of(input) } : {}) });
      show(cli, answer.text);
    },
  };
}

const reason = (what: string) => ({ options: { reason: string }, help: { reason: what }, of: (input: CommandInput) => present({ reason: text(input, 'reason') }) });
const why = reason('why, in words, for the record');
const code = reason('RFC 5280 reason: unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn');

async function list(cli: CliContext, operation: Operation, call: Parameters<Awaited<ReturnType<CliContext['connect']>>['call']>[1], columns: readonly string[]): Promise<void> {
  const client = await cli.connect();
  show(cli, (await client.call(operation, call)).text, columns);
}

export const AGENT_COMMANDS: Command[] = [
  {
    name: 'agent register',
    usage: '--name <name> --purpose <text> [options]',
    summary: 'Register an agent',
    example: 'signet agent register --name invoice-reader --owner alice@example.org --purpose "reads invoices"',
    options: { name: string, ...registration },
    help: { name: 'unique name: lower-case letters, digits, dashes', ...registrationHelp },
    async run(cli, input) {
      const client = await cli.connect();
      const body = { name: required(input, 'name'), ...registrationOf(input) };
      show(cli, (await client.call(agents.registerAgent, { body })).text);
    },
  },
  {
    name: 'agent list',
    usage: '[filters]',
    summary: 'List agents',
    example: 'signet agent list --state active --label team=payments',
    options: { ...paging, name: string, state: string, owner: string, 'risk-class': string, environment: string, profile: string, label: many, 'certificates-expiring-before': string },
    run: (cli, input) =>
      list(
        cli,
        agents.listAgents,
        {
          query: {
            cursor: text(input, 'cursor'), limit: text(input, 'limit'), name: text(input, 'name'), state: text(input, 'state'), ownerEmail: text(input, 'owner'),
            riskClass: text(input, 'risk-class'), environment: text(input, 'environment'), profile: text(input, 'profile'), label: texts(input, 'label'),
            certificatesExpiringBefore: text(input, 'certificates-expiring-before'),
          },
        },
        ['id', 'name', 'state', 'ownerEmail', 'profile', 'environment', 'riskClass'],
      ),
  },
  onOne('agent show', 'agentId', agents.getAgent, 'Show an agent'),
  onOne('agent change', 'agentId', agents.changeAgent, 'Change a registration', { options: { name: string, ...registration }, help: registrationHelp, of: (input) => present({ name: text(input, 'name'), ...registrationOf(input) }) }),
  onOne('agent activate', 'agentId', agents.activateAgent, 'Activate a proposed agent', why),
  onOne('agent suspend', 'agentId', agents.suspendAgent, 'Suspend an agent: certificates go on hold, nothing more is issued', why),
  onOne('agent resume', 'agentId', agents.resumeAgent, 'Resume a suspended agent', why),
  onOne('agent retire', 'agentId', agents.retireAgent, 'Retire an agent for ever and revoke its certificates', code),
  {
    name: 'instance list',
    usage: '<agentId> [--state <state>]',
    summary: 'List the instances of an agent',
    example: 'signet instance list 01KAMV3W5QZ3C1D6X2G7R8S9TB',
    positionals: ['agentId'],
    options: { ...paging, state: string },
    run: (cli, input) =>
      list(cli, instances.listInstances, { params: { agentId: input.positionals[0] ?? '' }, query: { cursor: text(input, 'cursor'), limit: text(input, 'limit'), state: text(input, 'state') } }, [
        'id', 'state', 'generation', 'tipSerial', 'enrolledFrom', 'createdAt',
      ]),
  },
  onOne('instance show', 'instanceId', instances.getInstance, 'Show an instance'),
  onOne('instance quarantine', 'instanceId', instances.quarantineInstance, 'Put an instance into quarantine', why),
  onOne('instance release', 'instanceId', instances.releaseInstance, 'Release an instance from quarantine', why),
  onOne('instance revoke', 'instanceId', instances.revokeInstance, 'Revoke an instance and its certificates', code),
  onOne('finding resolve', 'findingId', records.resolveFinding, 'Close a finding: somebody has looked at it', why),
  {
    name: 'join-token create',
    usage: '<agentId> [--ttl <seconds>] [--source <cidr>] [--out <file>]',
    summary: 'Make a single-use join token; it is shown on a terminal or written to a 0600 file, once',
    example: 'signet join-token create 01KAMV3W5QZ3C1D6X2G7R8S9TB --ttl 600 --out ./join-token',
    positionals: ['agentId'],
    options: { ttl: string, source: many, 'key-hash': string, ...SECRET_OPTIONS },
    help: { ttl: 'life, seconds', source: 'address or CIDR block the enrollment must come from, may be repeated', 'key-hash': 'SHA-256 of the only public key that may enroll, hexadecimal', ...SECRET_HELP },
    async run(cli, input) {
      const body = present({ ttlSeconds: wholeNumber(input, 'ttl'), sourceCidrs: texts(input, 'source'), boundKeyHash: text(input, 'key-hash') });
      await createSecret(cli, input, 'a join token', (client) => client.call(joinTokens.createJoinToken, { params: { agentId: input.positionals[0] ?? '' }, body }));
    },
  },
  {
    name: 'join-token list',
    usage: '<agentId>',
    summary: 'List the join tokens of an agent, never their secrets',
    example: 'signet join-token list 01KAMV3W5QZ3C1D6X2G7R8S9TB',
    positionals: ['agentId'],
    options: paging,
    run: (cli, input) =>
      list(cli, joinTokens.listJoinTokens, { params: { agentId: input.positionals[0] ?? '' }, query: { cursor: text(input, 'cursor'), limit: text(input, 'limit') } }, ['id', 'state', 'expiresAt', 'usedAt', 'usedInstanceId']),
  },
];
