import type { Context } from '../context.ts';
import type { ChangedCertificate } from './signals.ts';

/**
 * Makes this replica answer with a committed change before the change is acknowledged (DESIGN invariant 13): drops cached OCSP answers and
 * starts publication of the lists. The lists themselves are not waited for.
 */
export function announce(ctx: Pick<Context, 'signals'>, changed: readonly ChangedCertificate[]): void {
  ctx.signals.changed(changed);
}
