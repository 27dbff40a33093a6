/** `signet audit monitor`: follows a log, remembers its checkpoints, and alarms. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { openLogDoor } from '../client/log/tile-door.ts';
import { staleAlarm, watchLog, type Alarm, type Look, type WatchState } from '../client/log/watch-log.ts';
import { systemClock } from '../core/clock.ts';
import { LogError } from '../verify/log/log-error.ts';
import { required, text, texts, UsageError, variable, wholeNumber, type CliContext, type Command, type CommandInput } from './command.ts';
import { EXIT } from './exit.ts';
import { readGiven } from './given-file.ts';
import { trustOf } from './log-keys.ts';
import { writeFileAtomic } from './output.ts';

const string = { type: 'string' } as const;
const STATE_FORMAT = 'signet-audit-monitor/v1';
const DEFAULT_EVERY_SECONDS = 10;
/** A command that is told of an alarm has so long. */
const ON_ALARM_MS = 30_000;
/** A look that takes longer is asked whether the log is stale meanwhile. Milliseconds. */
const LOOK_MS = 60_000;

const hexHash = z.string().regex(/^[0-9a-f]{64}$/);
const stateFile = z.strictObject({
  format: z.literal(STATE_FORMAT),
  logKey: z.string(),
  names: z.array(z.string()),
  checkpoint: z.string(),
  size: z.int().min(0),
  root: hexHash,
  since: z.iso.datetime(),
  entries: z.strictObject({ size: z.int().min(0), hashes: z.array(hexHash).max(64) }).exactOptional(),
  agents: z.array(z.string()),
});

export const monitor: Command = {
  name: 'audit monitor',
  usage: '--log-key <key> --state <file> [--watch <name>]... [--once] [options]',
  summary: 'Follow a log: alarm when it forks or goes back, when it stands still, and when certificates are issued for names that are watched',
  example: 'signet audit monitor --log-key ./log.vkey --state ./monitor.json --watch 01M7YV5B0RBS4E4WP8XD9NKT4E --once',
  options: {
    'log-key': string, witness: { type: 'string', multiple: true }, quorum: string, state: string, watch: { type: 'string', multiple: true }, 'from-start': { type: 'boolean' },
    every: string, 'stale-after': string, once: { type: 'boolean' }, 'on-alarm': string,
  },
  help: {
    'log-key': 'Verifier key of the log, or a file with it.',
    witness: 'Verifier key of a witness, or a file with it; may be repeated.',
    quorum: 'How many of these witnesses must have cosigned a checkpoint.',
    state: 'File that remembers what was seen: keep it where who runs the log cannot write.',
    watch: 'Name to watch: id or name of an agent, SPIFFE ID, or DNS name; may be repeated. Needs the token of an auditor (SIGNET_TOKEN_FILE).',
    'from-start': 'At the first look read the events from the first one on, instead of from now.',
    every: `Seconds between looks; without it ${DEFAULT_EVERY_SECONDS}.`,
    'stale-after': 'Alarm when there is no newer checkpoint for so many seconds; a log without news has none either.',
    once: 'Look once and end: exit code 1 after an alarm. For cron.',
    'on-alarm': 'Command for the shell that is given each alarm as a line of JSON on its standard input; it has 30 seconds.',
  },
  async run(cli, input) {
    const request = await requestOf(cli, input);
    const told = new Set<string>();
    const tell = async (alarm: Alarm): Promise<void> => {
      // What stays as it is is said once; each event is said.
      if (told.has(alarm.detail)) return;
      if (alarm.event === undefined) told.add(alarm.detail);
      await raise(cli, request, alarm);
    };
    for (;;) {
      const alarmed = await look(cli, request, tell);
      if (request.once) return alarmed ? EXIT.refused : EXIT.ok;
      await sleep(request.everyMs);
    }
  },
};

interface MonitorRequest {
  trust: ReturnType<typeof trustOf>;
  logKey: string;
  door: ReturnType<typeof openLogDoor>;
  file: string;
  names: string[];
  fromStart: boolean;
  staleAfterSeconds: number | undefined;
  everyMs: number;
  once: boolean;
  onAlarm: string | undefined;
}

async function requestOf(cli: CliContext, input: CommandInput): Promise<MonitorRequest> {
  const { env } = cli.io;
  const names = texts(input, 'watch') ?? [];
  const tokenFile = variable(env, 'SIGNET_TOKEN_FILE');
  if (names.length > 0 && tokenFile === undefined) throw new UsageError('--watch reads events: SIGNET_TOKEN_FILE must name the file with the API token of an auditor');
  const entries =
    names.length === 0 || tokenFile === undefined ? undefined : { url: variable(env, 'SIGNET_API_URL') ?? 'https://127.0.0.1:8443', token: readGiven(tokenFile, 'SIGNET_TOKEN_FILE').trim(), trustBundle: await cli.trustBundle() };
  const trust = trustOf(input);
  return {
    trust,
    logKey: `${trust.logKey.name}+${trust.logKey.keyId.toString('hex')}`,
    door: openLogDoor(variable(env, 'SIGNET_PUBLIC_URL') ?? 'http://127.0.0.1:8080', entries),
    file: required(input, 'state'),
    names,
    fromStart: input.values['from-start'] === true,
    staleAfterSeconds: wholeNumber(input, 'stale-after'),
    everyMs: Math.max(1, wholeNumber(input, 'every') ?? DEFAULT_EVERY_SECONDS) * 1000,
    once: input.values['once'] === true,
    onAlarm: text(input, 'on-alarm'),
  };
}

/**
 * One look; true when there was an alarm. What is to be remembered is on disk before anything is said, but for how far events were read: that only afterwards. Killed in
 * between, an alarm comes twice; none is lost, and no checkpoint is forgotten.
 */
async function look(cli: CliContext, request: MonitorRequest, tell: (alarm: Alarm) => Promise<void>): Promise<boolean> {
  const { trust, logKey, door, file, names, fromStart, staleAfterSeconds } = request;
  const state = readState(file, logKey, names);
  const remember = (known: WatchState): void => writeFileAtomic(file, `${JSON.stringify({ format: STATE_FORMAT, logKey, names, ...known })}\n`, 0o600);
  const watching = watchLog({ door, trust, state, names, fromStart, staleAfterSeconds, now: systemClock.now() });
  await whenLate(watching, async () => {
    const stale = staleAlarm(state, staleAfterSeconds, systemClock.now());
    if (stale) await tell(stale);
  });
  let seen: Look;
  try {
    seen = await watching;
  } catch (error) {
    const alarm = error instanceof LogError ? notBelieved(error) : staleAlarm(state, staleAfterSeconds, systemClock.now());
    if (alarm) await tell(alarm);
    if (!(error instanceof LogError)) {
      if (request.once && !alarm) throw error;
      cli.io.err.write(`not reached: ${(error as Error).message}\n`);
    }
    return alarm !== undefined;
  }
  const ofEvents = seen.alarms.some(({ event }) => event !== undefined);
  if (seen.state && ofEvents) {
    const { entries: _, ...known } = seen.state;
    remember({ ...known, agents: state?.agents ?? [], ...(state?.entries && { entries: state.entries }) });
  } else if (seen.state) remember(seen.state);
  if (seen.state && seen.state.size !== state?.size) {
    const { size, root } = seen.state;
    cli.io.out.write(cli.json ? `${JSON.stringify({ size, root, first: state === undefined })}\n` : `${size} events, root ${root}${state === undefined ? ' (the first checkpoint seen: nothing to compare it with)' : ', grown from what was seen before'}\n`);
  }
  for (const alarm of seen.alarms) await tell(alarm);
  if (seen.state && ofEvents) remember(seen.state);
  return seen.alarms.length > 0;
}

const notBelieved = (error: LogError): Alarm => ({ kind: 'not-believed', detail: `what is shown of the log is not believed: ${error.message}` });

/** Does something once when a promise takes longer than a look should: one octet now and then must not keep an alarm back. */
async function whenLate(promise: Promise<unknown>, act: () => Promise<void>): Promise<void> {
  const ended = new AbortController();
  const late = sleep(LOOK_MS, true, { signal: ended.signal }).catch(() => false);
  const isLate = await Promise.race([late, promise.then(() => false, () => false)]);
  ended.abort();
  if (isLate) await act();
}

/** @throws UsageError for a file that is none of ours, or remembers another log or other names */
function readState(file: string, logKey: string, names: readonly string[]): WatchState | undefined {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const read = stateFile.safeParse(parse(content));
  if (!read.success) throw new UsageError(`${file} is not what a monitor remembers; what it knew is lost: keep the file for evidence, and begin with a new one`);
  const { format: _, logKey: ofKey, names: watched, ...state } = read.data;
  if (ofKey !== logKey) throw new UsageError(`${file} remembers another log: ${ofKey}`);
  if (watched.toSorted().join('\n') !== names.toSorted().join('\n')) throw new UsageError(`${file} was made while other names were watched: use a file for each set of names`);
  return state;
}

function parse(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

async function raise(cli: CliContext, { onAlarm, logKey }: MonitorRequest, alarm: Alarm): Promise<void> {
  const line = JSON.stringify({ alarm: alarm.kind, log: logKey, at: systemClock.now().toISOString(), detail: alarm.detail, ...(alarm.event === undefined ? {} : { event: alarm.event }) });
  cli.io.err.write(cli.json ? `${line}\n` : `ALARM ${alarm.kind}: ${alarm.detail.replaceAll(/\p{Cc}/gu, ' ')}\n`);
  if (onAlarm === undefined) return;
  const fault = await runCommand(onAlarm, `${line}\n`);
  if (fault !== undefined) cli.io.err.write(`the command of --on-alarm ${fault}\n`);
}

/** Resolves to what went wrong. The command is a process group of its own: at its limit all of it ends. */
function runCommand(command: string, given: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'inherit', 'inherit'], detached: true });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, ON_ALARM_MS);
    const end = (fault: string | undefined): void => {
      clearTimeout(timer);
      resolve(late ? `took longer than ${ON_ALARM_MS / 1000} s and was ended` : fault);
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code) => end(code === 0 ? undefined : `ended with ${code ?? 'a signal'}`));
    // It may not read what it is given.
    child.stdin.on('error', () => undefined);
    child.stdin.end(given);
  });
}
