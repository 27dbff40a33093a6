import { endingAdmins } from '../admins/ending.ts';
import type * as api from '../api/public.ts';
import type { Readiness } from '../api/public.ts';
import type { Context } from '../context.ts';
import { pingDatabase } from '../db/views/readiness.ts';
import { ok } from './answers.ts';
import type { HandlerOf, ProcessState } from './handler.ts';
import { replicaMetrics, replicaReadiness, type WorkerReadiness } from './replica.ts';

/** GET /healthz: the process runs; says nothing of what it needs. */
export const getHealth: HandlerOf<typeof api.getHealth> = () => ok({ status: 'ok' });

/** What this worker can say of itself. */
export async function readinessHere(ctx: Context, process: ProcessState): Promise<WorkerReadiness> {
  const checks: Readiness['checks'] = {
    process: process.draining ? 'shutting down' : 'ok',
    database: await outcome(() => pingDatabase(ctx.db)),
    keyStore: await outcome(() => ctx.keyStore.check()),
    issuer: await outcome(() => activeIssuer(ctx)),
  };
  return { worker: ctx.siblings.number, checks, warnings: process.warnings };
}

/** GET /readyz: the replica can serve. */
export const getReadiness: HandlerOf<typeof api.getReadiness> = async (ctx, { process, now }) => {
  const { checks, warnings } = await replicaReadiness(ctx, readinessHere(ctx, process));
  const isReady = Object.values(checks).every((check) => check === 'ok');
  // Of the cluster, not of a worker; a database that does not answer has its own check.
  const ending = await endingAdmins(ctx, now).catch(() => undefined);
  const answer: Readiness = { status: isReady ? 'ready' : 'not-ready', checks, warnings: [...warnings, ...(ending === undefined ? [] : [ending])] };
  return { status: isReady ? 200 : 503, json: answer };
};

const activeIssuer = (ctx: Context) => Promise.resolve(ctx.authorities.snapshot().active);

/** What failed is in the log of whoever failed; here only that it did. */
async function outcome(check: () => Promise<unknown>): Promise<string> {
  try {
    await check();
    return 'ok';
  } catch {
    return 'failed';
  }
}

/** GET /metrics */
export const getMetrics: HandlerOf<typeof api.getMetrics> = async (ctx) => ({ status: 200, bytes: Buffer.from(await replicaMetrics(ctx)), contentType: ctx.metrics.contentType });
