/** `signet audit verify`: the whole log, event by event, against its tree and against every checkpoint that anybody kept. */
import { readFileSync } from 'node:fs';
import { databaseSource } from '../audit/scan.ts';
import { tileReader } from '../audit/tree.ts';
import { texts, text, UsageError, variable, type CommandInput } from '../cli/command.ts';
import { cliContext } from '../cli/context.ts';
import { writeFileAtomic } from '../cli/output.ts';
import { openLogDoor, openLogFolder, type LogDoor } from '../client/log/tile-door.ts';
import { tilesOf, tileSource } from '../client/log/tile-source.ts';
import { findLiveLog, listLogs } from '../db/audit-logs.ts';
import { scanEnd } from '../db/audit-scan.ts';
import { readTreeSize } from '../db/audit-tree.ts';
import type { Db } from '../db/client.ts';
import { LogError } from '../verify/log/log-error.ts';
import { parseVerifierKey, type NoteKey } from '../verify/log/note.ts';
import type { VerifiedCheckpoint } from '../verify/log/checkpoint.ts';
import { verifyUpperTiles } from '../verify/log/whole-tree.ts';
import { verifyWholeLog, type LogFinding, type LogSource, type VerifiedPart, type WholeLogReport } from '../verify/log/whole-log.ts';
import { believe, checkpointFiles, givenKeys, readCheckpointFile } from './kept-checkpoints.ts';
import { EXIT, Refused, type LocalContext, type LocalRun } from './local-command.ts';
import { collectGarbage } from './start-memory.ts';
import { believeStored } from './stored-checkpoints.ts';
import { withLocalDatabase, withOwner } from './local-database.ts';

/** What is judged, and with what. */
interface Judged {
  source: LogSource;
  /** Events there are. */
  size: number;
  origin: string;
  checkpoints: Pick<VerifiedCheckpoint, 'size' | 'root'>[];
  /** Checkpoints left out because an earlier run had judged their events. */
  leftOut: number;
  findings: LogFinding[];
  /** What was taken on trust, in sentences. */
  remarks: string[];
}

export const runAuditVerify: LocalRun = async (local, input) => {
  const from = text(input, 'from');
  try {
    if (from !== undefined) return await verifyTiles(local, input, from);
    return await withLocalDatabase(local.config(), local.log, (database) => withOwner(database, (db) => verifyDatabase(local, input, db)));
  } catch (error) {
    if (error instanceof LogError) throw new Refused(error.message, 'nothing was judged: give the right key, and checkpoints that were signed by it');
    if (error instanceof Error && 'path' in error && (error as NodeJS.ErrnoException).syscall !== 'connect') throw new UsageError(error.message);
    throw error;
  }
};

/** Checkpoints that were kept, of the files and folders given. Read first: what is written while this runs is newer than what is judged. */
function keptCheckpoints(input: CommandInput, keys: readonly NoteKey[], findings: LogFinding[]): (VerifiedCheckpoint & { key: NoteKey })[] {
  const found: (VerifiedCheckpoint & { key: NoteKey })[] = [];
  for (const file of checkpointFiles(texts(input, 'checkpoint') ?? [])) {
    try {
      found.push(readCheckpointFile(file, keys));
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      findings.push(otherKey(error.message));
    }
  }
  return found;
}

const otherKey = (detail: string): LogFinding => ({ fault: 'other-key', index: 0, last: 0, from: undefined, to: undefined, detail });

async function verifyDatabase(local: LocalContext, input: CommandInput, db: Db): Promise<number> {
  const findings: LogFinding[] = [];
  const remarks: string[] = [];
  const logs = await listLogs(db);
  const live = await findLiveLog(db);
  const given = givenKeys(texts(input, 'log-key') ?? []);
  const own = logs.map(({ vkey }) => parseVerifierKey(vkey));
  if (given.length === 0) remarks.push('The log keys were read from the database itself: give --log-key to hold it against a key that you have from elsewhere.');
  else for (const { vkey, origin } of logs) if (!given.some((key) => vkey === textOf(key))) findings.push(otherKey(`log ${origin} of this database is signed by another key (${vkey}) than those that were given`));
  const keys = given.length > 0 ? given : own;
  const kept = keptCheckpoints(input, keys, findings);
  if (kept.length === 0) remarks.push('No checkpoint from outside the database was given (--checkpoint): whoever can change everything in it, and sign, is not found out.');
  // The tree first: what is in it was committed before, and is there when the end of the events is asked for.
  const published = live ? await readTreeSize(db, live.treeId) : 0;
  const from = earlierPart(input, live?.origin ?? '');
  const stored = await believeStored(db, logs, from?.size ?? 0);
  findings.push(...stored.findings);
  const end = await scanEnd(db);
  const covered = stored.checkpoints.reduce((largest, { size }) => Math.max(largest, size), 0);
  if (covered < end.last) remarks.push(`No checkpoint of the database covers the events from ${covered + 1} to ${end.last}: nothing that was signed says what they were.`);
  const treeId = live?.treeId ?? 1;
  if (live) findings.push(...(await verifyUpperTiles(published, tileReader(db, treeId))));
  if (live && live.state !== 'running') remarks.push(`The log has stopped: ${live.reason ?? ''}`);
  if (end.given > end.last) {
    findings.push({ fault: 'truncated', index: end.last, last: end.given - 1, from: undefined, to: undefined, detail: `${end.given} numbers were given to events, and the last that is there is ${end.last}` });
  }
  const source = databaseSource(db, { last: end.last, treeId, published });
  return judge(local, input, { source, size: end.last, origin: live?.origin ?? '', checkpoints: [...kept, ...stored.checkpoints], leftOut: stored.leftOut, findings, remarks });
}

const textOf = ({ name, keyId, publicKey }: NoteKey): string => `${name}+${keyId.toString('hex')}+${Buffer.concat([Buffer.from([1]), publicKey]).toString('base64')}`;

async function verifyTiles(local: LocalContext, input: CommandInput, from: string): Promise<number> {
  const keys = givenKeys(texts(input, 'log-key') ?? []);
  if (keys.length === 0) throw new UsageError('--from needs --log-key: nothing that is served says by itself whose it is');
  const findings: LogFinding[] = [];
  const kept = keptCheckpoints(input, keys, findings);
  const door = await openDoor(local, from);
  try {
    const newest = believe(await door.checkpoint(), keys);
    const source = tileSource(door, newest.size);
    findings.push(...(await verifyUpperTiles(newest.size, tilesOf(door))));
    const judged: Judged = { source, size: newest.size, origin: newest.origin, checkpoints: [...kept, newest], leftOut: 0, findings, remarks: [] };
    if (kept.length === 0) judged.remarks.push('No checkpoint that was kept before was given (--checkpoint): the log is whole, but may be another one than it was.');
    return await judge(local, input, judged, () => {
      const without = source.hashesOnly();
      return without === 0 ? [] : [`Of ${without} events only the hash was read: they were purged, or entry bundles were not to be had (SIGNET_TOKEN_FILE with audit:read).`];
    });
  } finally {
    if ('close' in door) (door as { close(): void }).close();
  }
}

async function openDoor(local: LocalContext, from: string): Promise<LogDoor> {
  if (!/^https?:\/\//.test(from)) return openLogFolder(from);
  const { env } = local.io;
  const tokenFile = variable(env, 'SIGNET_TOKEN_FILE');
  if (tokenFile === undefined) return openLogDoor(from);
  const token = readFileSync(tokenFile, 'utf8').trim();
  return openLogDoor(from, { url: variable(env, 'SIGNET_API_URL') ?? 'https://127.0.0.1:8443', token, trustBundle: await cliContext(local.io, local.json).trustBundle() });
}

async function judge(local: LocalContext, input: CommandInput, judged: Judged, more: () => string[] = () => []): Promise<number> {
  const stateFile = text(input, 'state');
  const from = earlierPart(input, judged.origin);
  if (from && stateFile !== undefined) {
    judged.remarks.push(`The first ${from.size} events were judged by an earlier run (${stateFile}), and not again.`);
    const earlier = judged.leftOut + judged.checkpoints.filter(({ size }) => size < from.size).length;
    if (earlier > 0) judged.remarks.push(`${earlier} checkpoints of fewer events than that were not compared with anything: judge the whole log, without --state, to compare them.`);
    if (judged.size < from.size) {
      judged.findings.push({ fault: 'truncated', index: judged.size, last: from.size - 1, from: undefined, to: undefined, detail: `an earlier run has judged ${from.size} events, and there are ${judged.size}` });
    }
  }
  let saved = from?.size ?? 0;
  let collected = saved;
  const report = await verifyWholeLog({
    source: judged.source,
    checkpoints: judged.checkpoints,
    ...(from ? { from } : {}),
    onProgress(part, clean) {
      if (part.size >= collected + COLLECT_EVERY) {
        collected = part.size;
        collectGarbage();
      }
      if (stateFile === undefined || !clean || judged.findings.length > 0 || part.size < saved + SAVE_EVERY) return;
      saved = part.size;
      writeState(stateFile, judged.origin, part);
    },
  });
  const findings = [...judged.findings, ...report.findings];
  if (stateFile !== undefined && findings.length === 0) writeState(stateFile, judged.origin, report.part);
  return tell(local, { report, findings, remarks: [...judged.remarks, ...more()] });
}

/** What an earlier run has judged, by the file of --state. */
function earlierPart(input: CommandInput, origin: string): VerifiedPart | undefined {
  const stateFile = text(input, 'state');
  return stateFile === undefined ? undefined : readState(stateFile, origin);
}

/** Events after which what is left of them is given back. */
const COLLECT_EVERY = 50_000;
/** Events after which a run can be taken up again. */
const SAVE_EVERY = 100_000;
const STATE_FORMAT = 'signet-audit-verify/v1';

function writeState(file: string, origin: string, { size, hashes }: VerifiedPart): void {
  writeFileAtomic(file, `${JSON.stringify({ format: STATE_FORMAT, origin, size, hashes: hashes.map((hash) => Buffer.from(hash).toString('hex')) })}\n`, 0o600);
}

/** Undefined where there is none yet. @throws UsageError for a file that is no such state, or of another log */
function readState(file: string, origin: string): VerifiedPart | undefined {
  let read: unknown;
  try {
    read = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`${file} is not the state of an earlier run: ${(error as Error).message}`);
  }
  const state = read as { format?: unknown; origin?: unknown; size?: unknown; hashes?: unknown };
  const hashes = Array.isArray(state.hashes) && state.hashes.every((hash) => typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash)) ? (state.hashes as string[]) : undefined;
  if (state.format !== STATE_FORMAT || !Number.isSafeInteger(state.size) || !hashes || hashes.length !== bitsOf(state.size as number)) throw new UsageError(`${file} is not the state of an earlier run`);
  if (state.origin !== origin) throw new UsageError(`${file} is the state of another log: ${String(state.origin)}`);
  return { size: state.size as number, hashes: hashes.map((hash) => Buffer.from(hash, 'hex')) };
}

const bitsOf = (size: number): number => size.toString(2).replaceAll('0', '').length;

function tell(local: LocalContext, { report, findings, remarks }: { report: WholeLogReport; findings: LogFinding[]; remarks: string[] }): number {
  const root = report.root.toString('hex');
  const clean = findings.length === 0;
  const lines = clean
    ? [`${report.size} events, each as it was logged; ${report.fitting} checkpoints fit`, `  root  ${root}`]
    : [`the log is NOT what it was: ${findings.length} finding${findings.length === 1 ? '' : 's'}`, ...findings.map(lineOf)];
  const record = { whole: clean, events: report.size, root, checkpoints: report.fitting, findings: findings.map((finding) => ({ ...finding, from: finding.from ?? null, to: finding.to ?? null })), remarks };
  local.show(record, `${[...lines, ...remarks.map((remark) => `  note  ${remark}`)].join('\n').replaceAll(/[^\P{Cc}\n]/gu, ' ')}\n`);
  return clean ? EXIT.ok : EXIT.refused;
}

function lineOf({ fault, index, last, from, to, detail }: LogFinding): string {
  if (fault === 'other-key') return `  other key   ${detail}`;
  const where = index === last ? `index ${index} (event ${index + 1})` : `index ${index} to ${last} (events ${index + 1} to ${last + 1})`;
  const when = from === undefined && to === undefined ? '' : from === to ? `, ${from}` : `, ${from === undefined ? '' : `after ${from}`}${to === undefined ? '' : ` up to ${to}`}`;
  return `  ${fault.padEnd(10)}  ${where}${when}: ${detail}`;
}
