import type * as api from '../api/kills.ts';
import type { KillAnswer, KillPreviewAnswer } from '../api/kills.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { findKillView, killViews, listKillViews, type KillRecord, type KillView } from '../db/views/kills.ts';
import { canResume, judgeKill, kill as carryOutKill, killNotFound, resumeKill } from '../revocation/kill.ts';
import { previewKill } from '../revocation/kill-preview.ts';
import { reasonName } from '../revocation/reasons.ts';
import { selectorOf } from '../revocation/selection.ts';
import { created, iso, isoOrNull, ok, pageSize } from './answers.ts';
import type { HandlerOf } from './handler.ts';

/** POST /v1/kill: does it, or says what it would do. */
export const kill: HandlerOf<typeof api.killOperation> = async (ctx, { origin, body, now }) => {
  if (!body.dryRun) {
    const done = await carryOutKill(ctx, origin, { ...body, now });
    return created(await rendered(ctx, done), { location: `/v1/kills/${done.id}` });
  }
  const { effect } = body;
  const selection = await judgeKill(ctx, body, now);
  const { counts, agents, certificates, confirmUntil, ...said } = await previewKill(ctx, origin, { selection, effect, now }, pageSize(ctx, undefined));
  const answer: KillPreviewAnswer = {
    selector: body.selector,
    effect,
    ...counts,
    ...said,
    agentsHit: agents,
    certificatesHit: certificates.map(({ serial, agentId, instanceId, notAfter, held }) => ({ serial: serial.toString('hex'), agentId, instanceId, notAfter: iso(notAfter), status: held ? 'held' : 'good' })),
    confirmUntil: iso(confirmUntil),
  };
  return ok(answer);
};

/** GET /v1/kills */
export const list: HandlerOf<typeof api.listKills> = async (ctx, { query }) => {
  const { cursor, limit, ...filters } = query;
  const { items, nextCursor } = await listKillViews(ctx.db, filters, { cursor, limit: pageSize(ctx, limit) });
  return ok({ items: items.map(render), nextCursor });
};

/** GET /v1/kills/{killId} */
export const get: HandlerOf<typeof api.getKill> = async (ctx, { params }) => {
  const found = await findKillView(ctx.db, params.killId);
  if (!found) throw killNotFound(params.killId);
  return ok(render(found));
};

/** POST /v1/kills/{killId}/resume */
export const resume: HandlerOf<typeof api.resumeKill> = async (ctx, { origin, params, body, now }) => ok(await rendered(ctx, await resumeKill(ctx, origin, params.killId, { reason: body.reason, now })));

async function rendered(ctx: Pick<Context, 'db'>, record: KillRecord): Promise<KillAnswer> {
  const [view] = await killViews(ctx.db, [record]);
  if (!view) throw new SignetError('internal', 'a kill is missing');
  return render(view);
}

function render(view: KillView): KillAnswer {
  return {
    id: view.id,
    selector: selectorOf(view, view.ownerEmail),
    effect: view.effect,
    reason: view.reason,
    revocationReason: view.revocationReason === null ? null : reasonName(view.revocationReason),
    state: view.state,
    actor: { kind: view.actorKind, id: view.actorId },
    owners: view.owners,
    agents: view.agents,
    instances: view.instances,
    certificates: view.certificates,
    released: view.released,
    canResume: canResume(view) && view.state !== 'resumed',
    createdAt: iso(view.createdAt),
    finishedAt: isoOrNull(view.finishedAt),
    resumedAt: isoOrNull(view.resumedAt),
  };
}
