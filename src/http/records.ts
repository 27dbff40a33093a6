import { resolveFinding } from '../agents/resolve-finding.ts';
import type * as api from '../api/records.ts';
import type { AuditAnswer, FindingAnswer, JobAnswer } from '../api/records.ts';
import { listAuditViews, type AuditView } from '../db/views/audit.ts';
import { listFindingViews, type FindingView } from '../db/views/findings.ts';
import { listJobs, type JobView } from '../jobs/list-jobs.ts';
import { parseSerial } from '../x509/serial.ts';
import { iso, isoOrNull, ok, pageSize } from './answers.ts';
import type { HandlerOf } from './handler.ts';

/** GET /v1/audit */
export const audit: HandlerOf<typeof api.listAudit> = async (ctx, { query }) => {
  const { cursor, limit, serial, personal, ...filters } = query;
  const where = { ...filters, ...(serial === undefined ? {} : { serial: parseSerial(serial) }) };
  const { items, nextCursor } = await listAuditViews(ctx.db, where, { cursor, limit: pageSize(ctx, limit), scanMax: ctx.config.auditScanMax, personal: personal === true });
  return ok({ items: items.map(renderEvent), nextCursor });
};

/** GET /v1/jobs */
export const jobs: HandlerOf<typeof api.listJobs> = async (ctx) => {
  const items = await listJobs(ctx);
  return ok({ items: items.map(renderJob) });
};

/** GET /v1/findings */
export const findings: HandlerOf<typeof api.listFindings> = async (ctx, { query }) => {
  const { cursor, limit, ...filters } = query;
  const { items, nextCursor } = await listFindingViews(ctx.db, filters, { cursor, limit: pageSize(ctx, limit) });
  return ok({ items: items.map(renderFinding), nextCursor });
};

/** POST /v1/findings/{findingId}/resolve */
export const resolve: HandlerOf<typeof api.resolveFinding> = async (ctx, { origin, params, body, now }) =>
  ok(renderFinding(await resolveFinding(ctx, origin, params.findingId, { reason: body.reason, now })));

const renderEvent = (event: AuditView): AuditAnswer => ({ ...event, n: String(event.n), at: iso(event.at), serial: event.serial?.toString('hex') ?? null });

const renderFinding = (finding: FindingView): FindingAnswer => ({
  ...finding,
  serial: finding.serial?.toString('hex') ?? null,
  createdAt: iso(finding.createdAt),
  resolvedAt: isoOrNull(finding.resolvedAt),
});

function renderJob({ lastRun, ...job }: JobView): JobAnswer {
  return {
    ...job,
    nextRunAt: iso(job.nextRunAt),
    lastRun: lastRun && {
      bucket: iso(lastRun.bucket),
      startedAt: iso(lastRun.startedAt),
      finishedAt: isoOrNull(lastRun.finishedAt),
      outcome: lastRun.outcome,
      attempts: lastRun.attempts,
      error: lastRun.error,
    },
  };
}
