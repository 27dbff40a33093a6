import { inTransaction, type Db } from '../db/client.ts';
import { eraseAddress, registeredOf, type Erased } from '../db/erasure.ts';
import { appendAudit, type AuditContext } from './append.ts';
import type { Origin } from './events.ts';

/** The person is still named as owner or deputy: what is in use would name them again at the next change. */
export class StillRegistered extends Error {
  readonly what: readonly string[];
  constructor(what: readonly string[]) {
    super(`still owner or deputy of ${what.join(', ')}`);
    this.what = what;
  }
}

/**
 * Erases a person, known by an e-mail address, in one transaction with its event, which names nobody. No audit event changes: each keeps the salted hashes of what is gone, so
 * that its leaf hash, and every proof of it, stay what they were. `dryRun` says what would go. @throws StillRegistered
 */
export async function erasePerson(
  ctx: AuditContext & { ownerDb: Db }, origin: Origin, { email, operator, now, dryRun }: { email: string; operator: string; now: Date; dryRun: boolean },
): Promise<Erased> {
  const none: Erased = { personalFields: 0, owners: 0, texts: 0 };
  let found = none;
  await inTransaction(ctx.ownerDb, async (tx) => {
    const registered = await registeredOf(tx, email);
    if (registered.length > 0) throw new StillRegistered(registered);
    found = await eraseAddress(tx, email);
    if (dryRun) throw new OnlyLooked();
    if (found.personalFields + found.owners + found.texts === 0) return;
    await appendAudit(ctx, tx, origin, now, { kind: 'person.erased', outcome: 'success', target: 'audit_personal', detail: { ...found }, personal: { operator } });
  }, ERASURE_MS).catch((error: unknown) => {
    if (!(error instanceof OnlyLooked)) throw error;
  });
  return found;
}

/** Every field beside the log is looked at. */
const ERASURE_MS = 600_000;

/** Rolls back what was only tried. */
class OnlyLooked extends Error {}
