import type * as api from '../api/public.ts';
import type { Context } from '../context.ts';
import { crlHeaders } from '../revocation/crl/crl-store.ts';
import { crlUrl } from '../revocation/crl/crl-url.ts';
import { publicBytes } from './answers.ts';
import type { Answer, HandlerOf } from './handler.ts';

/** Name of the complete list among the shards of an issuer. */
const COMPLETE = -1;

/** GET /crl/{issuerId}/complete.crl */
export const getCompleteCrl: HandlerOf<typeof api.getCompleteCrl> = (ctx, { params, now }) => serveCrl(ctx, params.issuerId, COMPLETE, now);

/** GET /crl/{issuerId}/{shard}.crl */
export const getCrlShard: HandlerOf<typeof api.getCrlShard> = (ctx, { params, now }) => serveCrl(ctx, params.issuerId, params.shard, now);

/** GET /crl/lists.txt: what a relying party needs that must have a list of every CA in a chain (OpenSSL's CRL_CHECK_ALL, so nginx and HAProxy). */
export const listCrls: HandlerOf<typeof api.listCrls> = (ctx) => {
  const { roots, issuing } = ctx.authorities.snapshot();
  const addresses = [...roots, ...issuing].map(({ id }) => `${crlUrl(ctx.config.publicUrl, id, COMPLETE)}\n`);
  return publicBytes(Buffer.from(addresses.join('')), 'text/plain; charset=utf-8', ctx.config.ocspMaxAgeSeconds);
};

async function serveCrl(ctx: Context, issuerId: string, shard: number, now: Date): Promise<Answer> {
  const list = await ctx.crls.get({ issuerId, shard });
  return { status: 200, ...(list.content.bytes ? { bytes: list.content.bytes } : { content: list.content }), headers: crlHeaders(list, ctx.config.ocspMaxAgeSeconds, now) };
}
