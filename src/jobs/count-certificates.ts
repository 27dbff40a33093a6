import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { updateCertificateNumbers } from '../db/certificate-numbers.ts';

/** Counts certificates by state for /metrics. Changes nothing that anybody acts on, and so leaves no audit event. */
export async function countCertificates(ctx: Context, _origin: Origin, signal: AbortSignal): Promise<void> {
  await updateCertificateNumbers(ctx.db, ctx.clock.now(), signal);
}
