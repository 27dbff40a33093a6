import type { Origin } from '../audit/events.ts';
import { renewTlsIfDue } from '../authorities/renew-tls.ts';
import type { Context } from '../context.ts';

/** Renews Signet's own TLS certificate in time; every replica takes the new one into use without dropping a connection. */
export async function rotateTls(ctx: Context, origin: Origin): Promise<void> {
  await renewTlsIfDue(ctx, origin);
}
