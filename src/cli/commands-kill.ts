import * as kills from '../api/kills.ts';
import * as renewals from '../api/renewals.ts';
import type { ApiClient } from '../client/api-client.ts';
import { present, required, text, texts, UsageError, wholeNumber, type CliContext, type Command, type CommandInput, type Options } from './command.ts';
import { EXIT } from './exit.ts';
import { asText, bodyOf } from './fields.ts';
import { lister, one } from './from-operation.ts';
import { readIdentity } from './identity.ts';
import { show, table } from './output.ts';

const string = { type: 'string' } as const;

/** What is meant: one of these. */
const SELECTOR_OPTIONS: Options = { serial: string, instance: string, agent: string, owner: string, label: { type: 'string', multiple: true }, 'issuer-id': string, profile: string, everything: { type: 'boolean' } };
const SELECTOR_HELP = {
  serial: 'One certificate.', instance: 'One instance.', agent: 'One agent and all it holds.', owner: 'All agents of an owner, by e-mail address; and the owner.',
  label: 'Agents with this label. May be repeated: all must hold.', 'issuer-id': 'All that an issuer issued; and the issuer.', profile: 'All that was issued under a profile; and the profile.', everything: 'Everything.',
};
const MEMBERS: Readonly<Record<string, string>> = { serial: 'serial', instance: 'instanceId', agent: 'agentId', owner: 'owner', 'issuer-id': 'issuerId', profile: 'profile' };

function selectorOf(input: CommandInput): Record<string, unknown> {
  const selector = present(Object.fromEntries(Object.entries(MEMBERS).map(([option, member]) => [member, text(input, option)])));
  const labels = texts(input, 'label');
  if (labels) {
    selector['labels'] = Object.fromEntries(labels.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError('--label must be key=value');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }));
  }
  if (input.values['everything'] === true) selector['everything'] = true;
  if (Object.keys(selector).length !== 1) throw new UsageError(`give one of ${Object.keys(SELECTOR_OPTIONS).map((option) => `--${option}`).join(', ')}`);
  return selector;
}

interface Preview {
  effect: string;
  owners: number;
  agents: number;
  instances: number;
  certificates: number;
  isExact: boolean;
  agentsHit: Record<string, unknown>[];
  certificatesHit: Record<string, unknown>[];
  confirm: string;
}

async function dryRun(client: ApiClient, body: Record<string, unknown>): Promise<{ json: string; preview: Preview }> {
  const { text: json } = await client.call(kills.killOperation, { body: { ...body, dryRun: true } });
  return { json, preview: JSON.parse(json) as Preview };
}

const sentence = ({ effect, owners, agents, instances, certificates, isExact }: Preview): string => {
  const of = (count: number, what: string) => (count === 0 ? [] : [`${count} ${what}${count === 1 ? '' : 's'}`]);
  const hit = [...of(owners, 'owner'), ...of(agents, 'agent'), ...of(instances, 'instance'), `${isExact ? '' : 'at least '}${certificates} certificate${certificates === 1 ? '' : 's'}`];
  return `${effect}: ${hit.join(', ')}`;
};

function showPreview(cli: CliContext, { json, preview }: { json: string; preview: Preview }): void {
  if (cli.json) return show(cli, json);
  const { out } = cli.io;
  out.write(`${sentence(preview)}\n`);
  if (preview.agentsHit.length > 0) out.write(`\n${table(preview.agentsHit, ['id', 'name', 'state'], { width: out.columns })}`);
  if (preview.certificatesHit.length > 0) out.write(`\n${table(preview.certificatesHit, ['serial', 'agentId', 'status', 'notAfter'], { width: out.columns })}`);
  out.write(`\nnothing was changed; to do it, the same with: --confirm ${preview.confirm}\n`);
}

const kill: Command = {
  name: 'kill',
  usage: '--owner <owner> | --agent <id> | --label <key=value> | … --reason <why> [options]',
  summary: 'Stop what is meant, at once: first shows what would be hit, and asks',
  example: 'signet kill --owner alice@example.org --reason "her laptop was stolen" --dry-run',
  options: { ...SELECTOR_OPTIONS, effect: string, reason: string, 'revocation-reason': string, 'dry-run': { type: 'boolean' }, confirm: string, 'renew-within': string, yes: { type: 'boolean', short: 'y' } },
  help: {
    ...SELECTOR_HELP, effect: 'One of suspend (default; can be taken back), revoke, retire.', reason: 'Why, in words: for the record.', 'revocation-reason': 'RFC 5280 reason of the revocations.',
    'dry-run': 'Only show what would be hit.', confirm: 'What the dry run gave: needed for many, and for everything.', 'renew-within': 'Also move renewal windows to within so many seconds from now.', yes: 'Do not ask first; what needs --confirm still does.',
  },
  async run(cli, input) {
    const body = present({
      selector: selectorOf(input), effect: text(input, 'effect'), reason: required(input, 'reason'), revocationReason: text(input, 'revocation-reason'), confirm: text(input, 'confirm'), renewWithinSeconds: wholeNumber(input, 'renew-within'),
    });
    const client = await cli.connect();
    if (input.values['dry-run'] === true) return showPreview(cli, await dryRun(client, body));
    if (cli.io.ask && input.values['yes'] !== true && body['confirm'] === undefined) {
      const { preview } = await dryRun(client, body);
      if (!(await cli.io.ask(`${sentence(preview)}. Do it?`))) {
        cli.io.err.write('nothing was done\n');
        return EXIT.refused;
      }
      body['confirm'] = preview.confirm;
    }
    show(cli, (await client.call(kills.killOperation, { body })).text);
  },
};

const steer: Command = {
  name: 'renewals steer',
  usage: '--issuer-id <id> | --profile <name> | --agent <id> | … --reason <why> [options]',
  summary: 'Move renewal windows to now, spread over a time: agents that ask renew early',
  example: 'signet renewals steer --profile agent --within 600 --reason "shorter lives"',
  options: { ...SELECTOR_OPTIONS, within: string, reason: string, 'explanation-url': string },
  help: { ...SELECTOR_HELP, within: 'Over so many seconds from now (default 300).', reason: 'Why, in words: for the record.', 'explanation-url': 'Page that tells agents why.' },
  async run(cli, input) {
    const body = present({ selector: selectorOf(input), withinSeconds: wholeNumber(input, 'within'), reason: required(input, 'reason'), explanationUrl: text(input, 'explanation-url') });
    show(cli, (await (await cli.connect()).call(renewals.steerRenewals, { body })).text);
  },
};

export const KILL_COMMANDS: Command[] = [
  kill,
  lister('kill list', kills.listKills, 'List kills', ['id', 'state', 'effect', 'selector', 'agents', 'certificates', 'createdAt'], '--state done'),
  one('kill show', kills.getKill, 'Show a kill and how far it is'),
  one('kill resume', kills.resumeKill, 'Take a kill back: exactly what it suspended, held and stopped', { body: bodyOf(kills.resumeKill, { reason: asText('reason') }), example: '--reason "a false alarm"' }),
  steer,
];

/** What an agent asks for itself. */
export const renewalInfo: Command = {
  name: 'renewal-info',
  usage: '--dir <folder>',
  summary: 'When to renew the certificate in a folder: an operator may have moved it',
  example: 'signet renewal-info --dir ./identity',
  options: { dir: string },
  help: { dir: 'Folder that `signet enroll` made.' },
  async run(cli, input) {
    const client = await cli.connect({ identity: readIdentity(required(input, 'dir')) });
    show(cli, (await client.call(renewals.getRenewalInfo)).text);
  },
};
