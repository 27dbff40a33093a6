import type { Context } from '../context.ts';
import { BELIEVED_MS } from './token-cache.ts';

/** After this a worker that stays silent believes no older look at the credential (token-cache.ts); the rest is for clocks that tick coarsely. */
const CONFIRMED_MS = BELIEVED_MS + 250;

/** Makes this replica forget what it remembers of a credential, before its change is acknowledged: this process at once, the other workers confirm it. */
export async function announceCredential(ctx: Pick<Context, 'adminTokens' | 'siblings'>, id: string): Promise<void> {
  ctx.adminTokens.forget(id);
  await ctx.siblings.ask('credential-changed', id, CONFIRMED_MS);
}
