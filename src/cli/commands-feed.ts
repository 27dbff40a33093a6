import { readFileSync } from 'node:fs';
import * as feed from '../api/feed.ts';
import type { FeedEventAnswer } from '../api/feed.ts';
import { followFeed, type FeedState } from '../client/feed/follow-feed.ts';
import { text, UsageError, wholeNumber, type CliContext, type Command, type CommandInput } from './command.ts';
import { asNumber, asText, bodyOf } from './fields.ts';
import { lister, one } from './from-operation.ts';

const string = { type: 'string' } as const;

const follow: Command = {
  name: 'feed',
  usage: '[--since <n>] [--until <n>]',
  summary: 'Follow the live feed and print each change; heartbeats are verified',
  example: 'signet feed --since 4710 --json',
  options: { since: string, until: string },
  help: { since: 'Begin after this number, or after `<cluster>:<epoch>:<n>`; without it the stream begins now.', until: 'End after this number.' },
  async run(cli, input) {
    const since = text(input, 'since');
    const until = wholeNumber(input, 'until') ?? Infinity;
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const following = await followFeed({
      urls: [cli.io.env['SIGNET_API_URL'] ?? 'https://127.0.0.1:8443'],
      trustBundle: await cli.trustBundle(),
      token: tokenOf(cli),
      ...(since === undefined ? {} : { since }),
      onEvent(event) {
        // More may come in one piece with the last one.
        if (event.n > until) return end();
        cli.io.out.write(cli.json ? `${JSON.stringify(event)}\n` : lineOf(event));
        if (event.n >= until) end();
      },
      onState: (state) => cli.io.err.write(stateLine(state)),
    });
    // A feed that never opened has not changed its state.
    if (!following.state().open) cli.io.err.write(stateLine(following.state()));
    if (following.state().n < until) await ended;
    await following.close();
  },
};

function tokenOf({ io }: CliContext): string {
  const file = io.env['SIGNET_TOKEN_FILE'];
  if (file === undefined) throw new UsageError('SIGNET_TOKEN_FILE is not set: it names the file with the API token of a relying party with the grant `feed`, or of staff');
  return readFileSync(file, 'utf8').trim();
}

/** What it is about comes last: the rest lines up. */
function lineOf({ n, at, kind, reason, serial, agentId, instanceId, ownerId, stop }: FeedEventAnswer): string {
  const about = Object.entries({ serial, agent: agentId, instance: instanceId, owner: ownerId, stop, reason }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return `${n}  ${at}  ${kind.padEnd(20)}  ${about.join(' ')}\n`;
}

const stateLine = ({ open, why, detail, cluster, epoch, n }: FeedState): string => (open ? `live: cluster ${cluster ?? '?'}, epoch ${epoch ?? '?'}, from ${n} on\n` : `not live (${why ?? ''}): ${detail ?? ''}\n`);

const snapshot: Command = {
  name: 'feed snapshot',
  usage: '',
  summary: 'Everything that is not good now, one JSON value a line; the last line is signed over all before it',
  example: 'signet feed snapshot',
  async run(cli: CliContext, _input: CommandInput) {
    const { bytes } = await (await cli.connect()).call(feed.getRevocationSnapshot, { accept: '*/*' });
    cli.io.out.write(bytes);
  },
};

export const FEED_COMMANDS: Command[] = [
  follow,
  snapshot,
  one('feed event', feed.getRevocation, 'Who has applied an event of the feed, and by when everybody else must know'),
  lister('enforcement-point list', feed.listEnforcementPoints, 'List enforcement points with their lag', ['id', 'name', 'state', 'appliedN', 'lagNumbers', 'lagMs', 'leaseUntil'], '--state live'),
  one('enforcement-point register', feed.registerEnforcementPoint, 'Register an enforcement point of the relying party whose token is used', { body: bodyOf(feed.registerEnforcementPoint, { name: asText('name') }), needs: ['name'], example: '--name gateway-1' }),
  one('enforcement-point acknowledge', feed.acknowledgeRevocations, 'Acknowledge a number as applied, for programs that follow the feed by themselves', {
    body: bodyOf(feed.acknowledgeRevocations, { n: asNumber('n'), cluster: asText('cluster'), epoch: asNumber('epoch') }), needs: ['n', 'cluster', 'epoch'], example: '--n 4711 --cluster 01M7YV54J0C1R5T2E3R4J5D6F7 --epoch 1',
  }),
  one('enforcement-point leave', feed.leaveEnforcementPoint, 'Take an enforcement point out of the count', { danger: ({ positionals: [id] }) => `Take enforcement point ${id} out of the count?` }),
];
