import type * as api from '../api/log.ts';
import type { AuditLogAnswer } from '../api/log.ts';
import { logEntries, logKey, logTile, newestNote } from '../audit/read-log.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { auditLogView } from '../db/views/audit-log.ts';
import { parseTilePath, type TileId } from '../verify/log/tiles.ts';
import { iso, isoOrNull, ok, publicBytes } from './answers.ts';
import { atMostOnceIn } from './bounded.ts';
import type { Answer, HandlerOf } from './handler.ts';

const KEY_MAX_AGE_SECONDS = 300;
/** What is in a tile stays; a day, because another log may begin under these addresses after a restart (ADR 0015). */
const TILE_CACHING = 'max-age=86400, immutable';
/** Whoever asks for the newest checkpoint gets one that is so old at most. Milliseconds. */
const CHECKPOINT_REUSE_MS = 250;
const TEXT = 'text/plain; charset=utf-8';

const newest = new WeakMap<Context, () => Promise<string | undefined>>();

/** GET /tlog/checkpoint */
export const getCheckpoint: HandlerOf<typeof api.getCheckpoint> = async (ctx) => {
  const read = newest.get(ctx) ?? atMostOnceIn(CHECKPOINT_REUSE_MS, () => ctx.clock.monotonicMs(), () => newestNote(ctx.db, ctx.config.auditWitnessQuorum));
  newest.set(ctx, read);
  const note = await read();
  if (note === undefined) throw new SignetError('not-found', 'there is no checkpoint yet');
  return publicBytes(Buffer.from(note, 'utf8'), TEXT, 1);
};

/** GET /tlog/key */
export const getLogKey: HandlerOf<typeof api.getLogKey> = async ({ db }) => {
  const key = await logKey(db);
  if (key === undefined) throw noLog();
  return publicBytes(Buffer.from(`${key}\n`, 'utf8'), TEXT, KEY_MAX_AGE_SECONDS);
};

/** GET /tlog/tile/{level}/{tile} */
export const getLogTile: HandlerOf<typeof api.getLogTile> = async ({ db }, { params }) => {
  const wanted = parseTile(`tile/${params.level}/${params.tile}`);
  if (wanted.level === 'entries') throw new SignetError('not-found', 'events are told to auditors only, at the API door');
  const hashes = await logTile(db, wanted);
  if (!hashes) throw noTile();
  const answer = publicBytes(hashes, 'application/octet-stream', 0);
  return { ...answer, headers: { ...answer.headers, 'cache-control': `public, ${TILE_CACHING}` } };
};

/** GET /tlog/tile/entries/{tile} */
export const getLogEntries: HandlerOf<typeof api.getLogEntries> = async ({ db }, { params }): Promise<Answer> => {
  const bundle = await logEntries(db, parseTile(`tile/entries/${params.tile}`));
  if (bundle === undefined) throw noTile();
  if (bundle === 'purged') throw new SignetError('not-found', 'events of this bundle were purged; their hashes are in the tiles of level 0');
  return { status: 200, bytes: bundle, contentType: 'application/octet-stream', headers: { 'cache-control': 'private, max-age=300' } };
};

const noLog = (): SignetError => new SignetError('not-found', 'there is no log now: one begins at the next start');
const noTile = (): SignetError => new SignetError('not-found', 'the log has no such tile');

/** One spelling of each path, but that clients made from the OpenAPI document write the slashes of a parameter as %2F; everything else is not there. */
function parseTile(path: string): TileId {
  try {
    return parseTilePath(path.replaceAll('%2F', '/'));
  } catch {
    throw noTile();
  }
}

/** GET /v1/audit/log */
export const getAuditLog: HandlerOf<typeof api.getAuditLog> = async ({ db, config }, { now }) => {
  const view = await auditLogView(db);
  if (!view) throw noLog();
  const { log, checkpoint, uncoveredSince } = view;
  const addresses = new Map(config.auditWitnesses.map(({ url, vkey }) => [vkey.split('+')[0] ?? '', url]));
  const known = new Map(view.witnesses.map((witness) => [witness.name, witness]));
  const answer: AuditLogAnswer = {
    id: log.id, origin: log.origin, key: log.vkey, state: log.state === 'stopped' ? 'stopped' : 'running', reason: log.reason, startedAt: iso(log.startedAt), size: view.size,
    lagSeconds: uncoveredSince ? Math.max(0, Math.round((now.getTime() - uncoveredSince.getTime()) / 1000)) : 0,
    checkpoint: checkpoint ? { size: checkpoint.size, root: checkpoint.root.toString('base64'), at: iso(checkpoint.at), cosignedBy: checkpoint.cosignedBy } : null,
    witnesses: [...new Set([...addresses.keys(), ...known.keys()])].map((name) => {
      const { size = 0, state = 'unasked', problem = null, askedAt = null, cosignedAt = null } = known.get(name) ?? {};
      return { name, url: addresses.get(name) ?? null, state, size, problem, askedAt: isoOrNull(askedAt), cosignedAt: isoOrNull(cosignedAt) };
    }),
    quorum: config.auditWitnessQuorum,
    earlier: view.earlier.map(({ id, origin, vkey, startedAt, changedAt, reason }) => ({ id, origin, key: vkey, startedAt: iso(startedAt), endedAt: iso(changedAt), reason: reason ?? '' })),
  };
  return ok(answer);
};
