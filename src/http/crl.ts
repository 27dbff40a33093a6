import type * as api from '../api/public.ts';
import type { Context } from '../context.ts';
import { crlHeaders } from '../revocation/crl/crl-store.ts';
import type { Answer, HandlerOf } from './handler.ts';

/** Name of the complete list among the shards of an issuer. */
const COMPLETE = -1;

/** GET /crl/{issuerId}/complete.crl */
export const getCompleteCrl: HandlerOf<typeof api.getCompleteCrl> = (ctx, { params, now }) => serveCrl(ctx, params.issuerId, COMPLETE, now);

/** GET /crl/{issuerId}/{shard}.crl */
export const getCrlShard: HandlerOf<typeof api.getCrlShard> = (ctx, { params, now }) => serveCrl(ctx, params.issuerId, params.shard, now);

async function serveCrl(ctx: Context, issuerId: string, shard: number, now: Date): Promise<Answer> {
  const list = await ctx.crls.get({ issuerId, shard });
  return { status: 200, ...(list.content.bytes ? { bytes: list.content.bytes } : { content: list.content }), headers: crlHeaders(list, ctx.config.ocspMaxAgeSeconds, now) };
}
