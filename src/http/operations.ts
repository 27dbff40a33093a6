import type * as api from '../api/public.ts';
import type { Readiness } from '../api/public.ts';
import type { Context } from '../context.ts';
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
export const getMetrics: HandlerOf<typeof api.getMetrics> = async (ctx) => ({ status: 200, bytes: await metricsPage(ctx), contentType: ctx.metrics.contentType });

const pages = new WeakMap<Context['metrics'], Promise<Buffer>>();

/** Scrapes that come while a page is being made get that page: nobody limits them, and a thousand at once would cost 180 MB. */
function metricsPage(ctx: Context): Promise<Buffer> {
  const { metrics } = ctx;
  let page = pages.get(metrics);
  if (page === undefined) {
    page = replicaMetrics(ctx).then((text) => Buffer.from(text)).finally(() => pages.delete(metrics));
    pages.set(metrics, page);
  }
  return page;
}
