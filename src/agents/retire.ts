import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { inTransaction } from '../db/client.ts';
import { announce } from '../revocation/announce.ts';
import { revokeCertificates } from '../revocation/apply.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { leafReason } from '../revocation/reasons.ts';
import { agentToChange, changeLocked, type AgentContext, type AgentRecord } from './agent.ts';
import { certificateEvents } from './certificate-events.ts';

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
  const { agent, revoked } = await inTransaction(ctx.db, async (tx) => {
    const was = await agentToChange(tx, agentId);
    if (was.state === 'retired') return { agent: was, revoked: [] };

    const retired = await changeLocked(tx, was, { state: 'retired', suspensionId: null, stateReason: note ?? reason }, now);
    const newlyRevoked = await revokeCertificates(tx, { agentId }, code, now);
    await appendFeed(tx, now, [{ kind: 'agent-retired', agentId, reason: code }, ...feedOf('revoked', newlyRevoked)]);
    await appendAudit(
      ctx, tx, origin, now,
      { kind: 'agent.retired', outcome: 'success', agentId, detail: { reason, revoked: newlyRevoked.length, ...(note === undefined ? {} : { note }) } },
      ...certificateEvents('certificate.revoked', newlyRevoked, { reason }),
    );
    return { agent: retired, revoked: newlyRevoked };
  });
  if (revoked.length > 0) ctx.metrics.revoked.inc({ reason }, revoked.length);
  await announce(ctx, revoked);
  return agent;
}
