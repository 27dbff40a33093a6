import type { Context } from '../context.ts';
import { BELIEVED_MS } from './credential-cache.ts';

/** Whoever changes a credential needs these, so that nobody goes on believing the old one. */
export type RemembersCredentials = Pick<Context, 'adminTokens' | 'pinnedCertificates' | 'siblings'>;

/** After this a worker that stays silent believes no older look at the credential (credential-cache.ts); the rest is for clocks that tick coarsely. */
const CONFIRMED_MS = BELIEVED_MS + 250;

/** This process looks credentials up again. Changes are rare: all of them are forgotten, whichever was changed. What the other workers are asked to do. */
export function forgetCredentials({ adminTokens, pinnedCertificates }: Pick<RemembersCredentials, 'adminTokens' | 'pinnedCertificates'>): void {
  adminTokens.forget();
  pinnedCertificates.forget();
}

/**
 * Makes this replica forget what it remembers of a credential, before its change is acknowledged: this process at once, the other workers confirm it. `id`: of
 * the API token, or of the relying party with all it holds. Other replicas look again within a second.
 */
export async function announceCredential(ctx: RemembersCredentials, id: string): Promise<void> {
  forgetCredentials(ctx);
  await ctx.siblings.ask('credential-changed', id, CONFIRMED_MS);
}
