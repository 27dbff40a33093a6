import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';
import { Prisma, type PipelinedTx, type Tx } from './client.ts';

/** Takes the issuance gate, shared, to the end of the transaction (DESIGN §2), before any row is locked: for what a kill must not overlook. */
export async function takeGate(tx: Tx): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock_shared(${LOCK_CLASS}::int, ${ADVISORY_LOCK.issuanceGate}::int)`;
}

/** Takes it exclusively: nothing is being issued or registered from here on, and later statements see all that was. */
export async function takeGateExclusively(tx: PipelinedTx): Promise<void> {
  await tx.query(Prisma.sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}::int, ${ADVISORY_LOCK.issuanceGate}::int)`);
}
