import type * as api from '../api/public.ts';
import type { Readiness } from '../api/public.ts';
import { ok } from './answers.ts';
import type { HandlerOf } from './handler.ts';
import { readinessHere } from './readiness.ts';
import { replicaMetrics, replicaReadiness } from './replica.ts';

/** GET /healthz: the process runs; says nothing of what it needs. */
export const getHealth: HandlerOf<typeof api.getHealth> = () => ok({ status: 'ok' });

/** GET /readyz: the replica can serve. */
export const getReadiness: HandlerOf<typeof api.getReadiness> = async (ctx, { process }) => {
  const { isReady, checks, warnings } = await replicaReadiness(ctx, readinessHere(ctx, process));
  const answer: Readiness = { status: isReady ? 'ready' : 'not-ready', checks, warnings };
  return { status: isReady ? 200 : 503, json: answer };
};

/** GET /metrics */
export const getMetrics: HandlerOf<typeof api.getMetrics> = async (ctx) => ({ status: 200, bytes: Buffer.from(await replicaMetrics(ctx)), contentType: ctx.metrics.contentType });
