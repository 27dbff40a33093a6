import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { inTransaction } from '../db/client.ts';
import { resolveOneFinding } from '../db/findings.ts';
import type { FindingView } from '../db/views/findings.ts';
import type { AgentContext, StateChange } from './agent.ts';

/**
 * Closes a finding that somebody has looked at. Nothing else changes: an instance in quarantine is released or revoked by itself. A closed one stays as it is.
 * @throws SignetError `finding-not-found`
 */
export function resolveFinding(ctx: Pick<AgentContext, 'db' | 'random'>, origin: Origin, findingId: string, { reason, now }: StateChange): Promise<FindingView> {
  return inTransaction(ctx.db, async (tx) => {
    const closed = await resolveOneFinding(tx, findingId, now);
    if (!closed) throw new SignetError('finding-not-found', `there is no finding ${findingId}`);
    const { finding, resolved } = closed;
    if (resolved) {
      await appendAudit(ctx, tx, origin, now, {
        kind: 'finding.resolved',
        outcome: 'success',
        target: finding.id,
        ...(finding.agentId !== null && { agentId: finding.agentId }),
        ...(finding.instanceId !== null && { instanceId: finding.instanceId }),
        ...(finding.serial && { serial: finding.serial }),
        detail: { finding: finding.kind },
        personal: { reason },
      });
    }
    return finding;
  });
}
