import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { readNotGood } from '../db/certificate-status.ts';
import { inTransaction } from '../db/client.ts';
import { announce } from '../revocation/announce.ts';
import { revokeCertificates } from '../revocation/apply.ts';
import { certificateEvents } from '../revocation/certificate-events.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { leafReason } from '../revocation/reasons.ts';
import { agentToChange, changeLocked, type AgentContext, type AgentRecord } from './agent.ts';

export interface Retirement {
  /** Reason of the revocations (RFC 5280 §5.3.1) by name; by default cessationOfOperation. */
  reason: string | undefined;
  /** For people. */
  note: string | undefined;
  now: Date;
}

/**
 * Retires an agent for ever, from any state: all its live certificates are revoked, their keys blocked. Its id is never used again, its name is free.
 * A retired one stays as it is, with the reason it was retired for.
 * @throws SignetError `agent-not-found`, `reason-not-allowed`
 */
export async function retireAgent(ctx: AgentContext, origin: Origin, agentId: string, { reason = 'cessationOfOperation', note, now }: Retirement): Promise<AgentRecord> {
  const code = leafReason(reason);
  const { agent, revoked, off } = await inTransaction(ctx.db, async (tx) => {
    const was = await agentToChange(tx, agentId);
    if (was.state === 'retired') return { agent: was, revoked: [], off: await readNotGood(tx, { agentId }, now) };

    const retired = await changeLocked(tx, was, { state: 'retired', suspensionId: null, stateReason: note ?? reason }, now);
    const newlyRevoked = await revokeCertificates(tx, { agentId }, code, now);
    const notGood = await readNotGood(tx, { agentId }, now);
    await appendFeed(tx, now, [{ kind: 'agent-retired', agentId, reason: code }, ...feedOf('revoked', newlyRevoked)]);
    await appendAudit(
      ctx, tx, origin, now,
      { kind: 'agent.retired', outcome: 'success', agentId, detail: { reason, revoked: newlyRevoked.length }, personal: { note } },
      ...certificateEvents({ kind: 'certificate.revoked', detail: { reason } }, newlyRevoked),
    );
    return { agent: retired, revoked: newlyRevoked, off: notGood };
  });
  if (revoked.length > 0) ctx.metrics.revoked.inc({ reason }, revoked.length);
  // Whoever made one so may have died before it told this replica: what is acknowledged here must hold here (invariant 13).
  await announce(ctx, off);
  return agent;
}
