/** One look at a log by somebody who remembers what it was: whether it only grew, and what certificates were issued for names that are watched. */
import { LogError } from '../../verify/log/log-error.ts';
import { openCheckpoint, type CheckpointTrust, type VerifiedCheckpoint } from '../../verify/log/checkpoint.ts';
import { ISSUANCE_KINDS, readEvent, type LoggedAuditEvent } from '../../verify/log/event.ts';
import { appendLeaf, emptyTree, leafHash, makeConsistencyProof, perfectNodes, readRoot, rootOf, verifyConsistency, type GrowingTree } from '../../verify/log/merkle.ts';
import { decodeEntries, nodesFromTiles, TILE_WIDTH, tileHashes, tileWidth } from '../../verify/log/tiles.ts';
import type { LogDoor } from './tile-door.ts';
import { tilesOf } from './tile-source.ts';

/** What is remembered between looks. */
export interface WatchState {
  /** The newest checkpoint that was believed. */
  checkpoint: string;
  size: number;
  root: string;
  /** When it was first seen: RFC 3339. */
  since: string;
  /** Where entries were read to, with the right edge of the tree there; undefined where entries are not read. */
  entries?: { size: number; hashes: string[] };
  /** Agents that stand for the names watched, as far as the entries told. */
  agents: string[];
}

/** `unseen`: events that were purged before they were read, or are withheld. What was issued in them is not known. */
export type AlarmKind = 'fork' | 'went-back' | 'stale' | 'issued' | 'named' | 'not-believed' | 'unseen';

export interface Alarm {
  kind: AlarmKind;
  detail: string;
  /** Number of the event that it is about. */
  event?: number;
}

export interface WatchRequest {
  door: LogDoor;
  trust: CheckpointTrust;
  /** Undefined at the first look. */
  state: WatchState | undefined;
  /** Ids and names of agents, SPIFFE IDs, DNS names. Without any, entries are not read. */
  names: readonly string[];
  /** At the first look: read the entries from the first one on, instead of from now. */
  fromStart: boolean;
  /** Alarm when there was no newer checkpoint for so long. */
  staleAfterSeconds: number | undefined;
  now: Date;
}

/** `state` is what is to be remembered: after a fork or a step back what it was before, for evidence. */
export interface Look {
  state: WatchState | undefined;
  alarms: Alarm[];
}

/** @throws Error when the log cannot be read */
export async function watchLog(request: WatchRequest): Promise<Look> {
  const { door, trust, state, now, staleAfterSeconds } = request;
  const note = await door.checkpoint();
  let checkpoint: VerifiedCheckpoint;
  try {
    checkpoint = openCheckpoint(note, trust);
  } catch (error) {
    if (error instanceof LogError) return { state, alarms: [{ kind: 'not-believed', detail: `the checkpoint that is shown is not believed: ${error.message}` }] };
    throw error;
  }
  const fault = state && (await compare(state, checkpoint, door));
  if (fault) return { state, alarms: [fault] };
  const isNew = state === undefined || checkpoint.size > state.size;
  const alarms: Alarm[] = [];
  const stale = isNew ? undefined : staleAlarm(state, staleAfterSeconds, now);
  if (stale) alarms.push(stale);
  const next: WatchState = {
    ...(state ?? { agents: [] }),
    checkpoint: note, size: checkpoint.size, root: checkpoint.root.toString('hex'), since: isNew ? now.toISOString() : state.since,
  };
  if (request.names.length === 0) return { state: next, alarms };
  const seen = await readEntries(request, checkpoint, next);
  return 'fault' in seen ? { state, alarms: [...alarms, seen.fault] } : { state: { ...next, ...seen.state }, alarms: [...alarms, ...seen.alarms] };
}

/** The alarm for what is remembered being older than it may be: also for whoever cannot read the log, because silence is how one is kept from seeing a newer checkpoint. */
export function staleAlarm(state: WatchState | undefined, staleAfterSeconds: number | undefined, now: Date): Alarm | undefined {
  if (!state || staleAfterSeconds === undefined || now.getTime() - Date.parse(state.since) <= staleAfterSeconds * 1000) return undefined;
  return { kind: 'stale', detail: `the newest checkpoint is of ${state.size} events and was first seen at ${state.since}` };
}

/** Whether the log that is shown is the one that is remembered, or a longer one that begins with it. */
async function compare(state: WatchState, checkpoint: VerifiedCheckpoint, door: LogDoor): Promise<Alarm | undefined> {
  const root = checkpoint.root.toString('hex');
  if (checkpoint.size < state.size) {
    return { kind: 'went-back', detail: `a checkpoint of ${state.size} events was shown at ${state.since}, and now one of ${checkpoint.size}` };
  }
  if (checkpoint.size === state.size) {
    return root === state.root ? undefined : { kind: 'fork', detail: `two checkpoints of ${state.size} events have different roots, ${state.root} and ${root}: the log key signed both` };
  }
  if (state.size === 0) return undefined;
  try {
    const proof = await makeConsistencyProof(state.size, checkpoint.size, nodesFromTiles(checkpoint.size, tilesOf(door)));
    verifyConsistency(proof, { first: state.size, second: checkpoint.size, firstRoot: Buffer.from(state.root, 'hex'), secondRoot: checkpoint.root });
    return undefined;
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    return { kind: 'fork', detail: `the log of ${checkpoint.size} events that is shown does not begin with the one of ${state.size} that was shown at ${state.since}: ${error.message}` };
  }
}

type Seen = { state: Pick<WatchState, 'entries' | 'agents'>; alarms: Alarm[] } | { fault: Alarm };

/** Reads what was appended, and believes it where it makes the tree of the checkpoint. */
async function readEntries({ door, names, state, fromStart }: WatchRequest, checkpoint: VerifiedCheckpoint, next: WatchState): Promise<Seen> {
  const known = state?.entries;
  const tree: GrowingTree = known ? { size: known.size, hashes: known.hashes.map((hash) => Buffer.from(hash, 'hex')) } : await edgeAt(door, checkpoint, fromStart ? 0 : checkpoint.size);
  const agents = new Set(next.agents);
  const alarms: Alarm[] = [];
  let unseenTo: number | undefined;
  while (tree.size < checkpoint.size) {
    const index = Math.floor(tree.size / TILE_WIDTH);
    const width = tileWidth('entries', index, checkpoint.size);
    const bundle = (await door.tile({ level: 'entries', index, width })) ?? (await door.tile({ level: 'entries', index, width: TILE_WIDTH }));
    if (!bundle) {
      const first = tree.size + 1;
      await passUnseen(door, tree, { index, width });
      // A long purge is one stretch, and one alarm.
      const last = alarms.at(-1);
      if (last?.kind === 'unseen' && last.event !== undefined && unseenTo === first - 1) last.detail = unseen(last.event, tree.size);
      else alarms.push({ kind: 'unseen', event: first, detail: unseen(first, tree.size) });
      unseenTo = tree.size;
      continue;
    }
    for (const entry of decodeEntries(bundle, bundleWidth(bundle, width)).slice(tree.size % TILE_WIDTH, width)) {
      appendLeaf(tree, leafHash(entry));
      const alarm = judge(readEvent(entry), tree.size, names, agents);
      if (alarm) alarms.push(alarm);
    }
  }
  if (!rootOf(tree).equals(checkpoint.root)) return { fault: { kind: 'fork', detail: `the events that were read are not those of the checkpoint of ${checkpoint.size}` } };
  return { state: { entries: { size: tree.size, hashes: tree.hashes.map((hash) => Buffer.from(hash).toString('hex')) }, agents: [...agents] }, alarms };
}

const unseen = (first: number, last: number): string => `events ${first} to ${last} were purged, lie in one bundle with some that were, or are withheld: what was issued in them is not known`;

/** Of purged events the hashes are left: the tree goes on over them. @throws LogError where these are not shown either */
async function passUnseen(door: LogDoor, tree: GrowingTree, { index, width }: { index: number; width: number }): Promise<void> {
  const [octets] = await tilesOf(door)([{ level: 0, index, width }]);
  for (const leaf of tileHashes(octets ?? new Uint8Array(), width).slice(tree.size % TILE_WIDTH)) appendLeaf(tree, leaf);
}

/** A full bundle may have come in place of a partial one. */
function bundleWidth(bundle: Buffer, width: number): number {
  let count = 0;
  for (let at = 0; at + 2 <= bundle.length && count < TILE_WIDTH; at += 2 + bundle.readUInt16BE(at)) count += 1;
  return Math.max(count, width);
}

/** The right edge of the tree at a size, from tiles that make the root of the checkpoint. */
async function edgeAt(door: LogDoor, checkpoint: VerifiedCheckpoint, size: number): Promise<GrowingTree> {
  if (size === 0) return emptyTree();
  const read = nodesFromTiles(checkpoint.size, tilesOf(door));
  if (!(await readRoot(checkpoint.size, read)).equals(checkpoint.root)) throw new LogError('not-consistent', 'the tiles that are shown do not make the root of the checkpoint');
  return { size, hashes: [...(await read(perfectNodes([0, size])))] };
}

const SPIFFE_AGENT = /^spiffe:\/\/[^/]+\/agent\/([^/]+)/;

/** Names as events have them: of a SPIFFE ID the agent in it. */
const wanted = (names: readonly string[]): string[] => names.map((name) => SPIFFE_AGENT.exec(name)?.[1] ?? name);

function judge(event: LoggedAuditEvent, n: number, names: readonly string[], agents: Set<string>): Alarm | undefined {
  const { agent, kind, detail, serial = '', at } = event;
  if (agent === undefined || event.outcome !== 'success') return undefined;
  const watched = wanted(names);
  if (kind === 'agent.registered' || kind === 'agent.changed') {
    const dnsNames = Array.isArray(detail?.['dnsNames']) ? (detail['dnsNames'] as unknown[]) : [];
    const hit = watched.find((name) => detail?.['name'] === name || dnsNames.includes(name));
    if (hit === undefined) return undefined;
    agents.add(agent);
    return { kind: 'named', event: n, detail: `event ${n}: agent ${agent} stands for ${hit} since ${at} (${kind})` };
  }
  if (!ISSUANCE_KINDS.includes(kind) || !(watched.includes(agent) || agents.has(agent))) return undefined;
  return { kind: 'issued', event: n, detail: `event ${n}: certificate ${serial} was issued for agent ${agent} at ${at} (${kind})` };
}
