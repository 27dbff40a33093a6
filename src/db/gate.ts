import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';
import type { Tx } from './client.ts';

/**
 * Takes the issuance gate to the end of the transaction (DESIGN §2), before any row is locked. `exclusive`: nothing is being issued or registered from here on,
 * and later statements see all that was. `shared`: what a kill must not overlook.
 */
export async function takeGate(tx: Tx, how: 'shared' | 'exclusive'): Promise<void> {
  if (how === 'exclusive') await tx.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK_CLASS}::int, ${ADVISORY_LOCK.issuanceGate}::int)`;
  else await tx.$executeRaw`SELECT pg_advisory_xact_lock_shared(${LOCK_CLASS}::int, ${ADVISORY_LOCK.issuanceGate}::int)`;
}
