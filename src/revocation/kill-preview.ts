import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import type { Origin } from '../audit/events.ts';
import { readHits, type Hits, type KillCounts, type KillEffect } from '../db/kills.ts';
import type { Selection } from './selection.ts';

type PreviewContext = Pick<Context, 'db' | 'config' | 'sealer'>;

/** A kill that somebody asks for. */
export interface AskedKill {
  selection: Selection;
  effect: KillEffect;
  now: Date;
}

/** What a kill would hit, and what confirms that this was seen. */
export interface KillPreview extends Hits {
  needsConfirm: boolean;
  confirm: string;
  confirmUntil: Date;
}

/** Time to look at what a dry run says. */
const CONFIRM_MS = 300_000;
/** Things are issued all the time: so many more than were seen are still the same thing. */
const GROWTH = 1.1;
const GROWTH_SPARE = 10;

/** Says what a kill would hit, and changes nothing. `limit`: agents and certificates shown. */
export async function previewKill(ctx: PreviewContext, origin: Origin, asked: AskedKill, limit: number): Promise<KillPreview> {
  const hits = await readHits(ctx.db, asked.selection, { now: asked.now, lookMax: ctx.config.killLookMax, limit });
  const confirmUntil = new Date(asked.now.getTime() + CONFIRM_MS);
  const seen: Seen = { total: totalOf(hits.counts), until: confirmUntil.getTime() };
  return {
    ...hits,
    needsConfirm: needsConfirm(ctx, asked.selection, hits),
    confirm: ctx.sealer.seal(contextOf(origin, asked), Buffer.from(JSON.stringify(seen))).toString('base64url'),
    confirmUntil,
  };
}

/**
 * A kill of many, or of everything, needs what a dry run gave: it says that this caller saw what this selector and effect would hit, minutes ago, and that it has not
 * grown by much since.
 * @throws SignetError `kill-confirmation-required`
 */
export async function assertConfirmed(ctx: PreviewContext, origin: Origin, asked: AskedKill & { confirm: string | undefined }): Promise<void> {
  const hits = await readHits(ctx.db, asked.selection, { now: asked.now, lookMax: ctx.config.killLookMax, limit: 0 });
  const { counts } = hits;
  if (!needsConfirm(ctx, asked.selection, hits)) return;
  const hit = `it would hit ${hits.isExact ? '' : 'at least '}${counts.agents} agents and ${counts.certificates} certificates`;
  if (asked.confirm === undefined) throw unconfirmed(hit);
  const seen = opened(ctx, contextOf(origin, asked), asked.confirm);
  if (!seen) throw unconfirmed(`${hit}; confirm is not what a dry run of this kill gave to this caller`);
  if (seen.until < asked.now.getTime()) throw unconfirmed(`${hit}; confirm is too old`);
  if (totalOf(counts) > seen.total * GROWTH + GROWTH_SPARE) throw unconfirmed(`${hit}, and the dry run said ${seen.total} in all`);
}

interface Seen {
  total: number;
  /** Milliseconds since 1970. */
  until: number;
}

const totalOf = ({ agents, certificates }: KillCounts): number => agents + certificates;

const needsConfirm = ({ config }: Pick<Context, 'config'>, { selector }: Selection, { counts, isExact }: Pick<Hits, 'counts' | 'isExact'>): boolean =>
  selector === 'everything' || !isExact || totalOf(counts) > config.killConfirmAbove;

const unconfirmed = (detail: string): SignetError => new SignetError('kill-confirmation-required', detail);

/** Authenticated with the seal: it confirms no other kill, and nobody else's. Every replica opens it. */
const contextOf = ({ actor }: Origin, { selection, effect }: Omit<AskedKill, 'now'>): string => ['kill', `${actor.kind}:${actor.id}`, selection.selector, selection.target, effect].join('\n');

function opened({ sealer }: PreviewContext, context: string, confirm: string): Seen | undefined {
  try {
    return JSON.parse(sealer.open(context, Buffer.from(confirm, 'base64url')).toString('utf8')) as Seen;
  } catch {
    return undefined;
  }
}
