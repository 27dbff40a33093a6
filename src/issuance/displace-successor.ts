import { ulid } from '../core/random.ts';
import type { Context } from '../context.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { inTransaction } from '../db/client.ts';
import type { StoredCertificate } from '../db/commit.ts';
import { displaceRow } from '../db/displacement.ts';
import { insertFinding } from '../db/findings.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { announce } from '../revocation/announce.ts';
import { REASONS } from '../revocation/reasons.ts';
import type { ClientIdentity } from './client-certificate.ts';

/**
 * Renewal rule (b): revokes a successor that was never presented and makes the presented certificate the tip again, in one transaction with its
 * finding. Returns false when the successor was presented, revoked or succeeded meanwhile: then the rules are asked again.
 */
export async function displaceSuccessor(ctx: Context, origin: Origin, client: ClientIdentity, successor: StoredCertificate, now: Date): Promise<boolean> {
  const affected = await inTransaction(ctx.db, async (tx) => {
    const displaced = await displaceRow(tx, { instanceId: client.instanceId, tip: client.serial, successor: successor.serial, reason: REASONS.superseded, now });
    if (!displaced) return undefined;
    const findingId = ulid(now, ctx.random);
    await insertFinding(tx, { id: findingId, kind: 'successor-displaced', agentId: client.agentId, instanceId: client.instanceId, serial: successor.serial, createdAt: now });
    await appendFeed(tx, now, feedOf('revoked', [displaced]));
    const common = { outcome: 'success', agentId: client.agentId, instanceId: client.instanceId, serial: successor.serial } as const;
    await appendAudit(ctx, tx, origin, now, { kind: 'certificate.displaced', ...common }, { kind: 'finding.raised', ...common, target: findingId, detail: { finding: 'successor-displaced' } });
    return [displaced];
  });
  if (!affected) return false;
  ctx.metrics.findings.inc({ kind: 'successor-displaced' });
  ctx.metrics.revoked.inc({ reason: 'superseded' });
  ctx.log.warn({ agentId: client.agentId, instanceId: client.instanceId }, 'a renewal displaced a successor that was never presented');
  await announce(ctx, affected);
  return true;
}
