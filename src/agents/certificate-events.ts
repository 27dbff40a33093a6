import type { AuditEvent, AuditKind, JsonValue } from '../audit/events.ts';
import type { AffectedCertificate } from '../revocation/apply.ts';

/** One audit event for each certificate whose status a change of its agent or instance changed: the log tells the life of every serial. */
export function certificateEvents(kind: AuditKind, certificates: readonly AffectedCertificate[], detail: Record<string, JsonValue>): AuditEvent[] {
  return certificates.map(({ agentId, instanceId, serial }) => ({ kind, outcome: 'success', agentId, instanceId, serial, detail }));
}
