import type { AuditEvent, StatusChange } from '../audit/events.ts';
import type { AffectedCertificate } from './apply.ts';

/** One audit event for each certificate whose status a change of its agent or instance changed: the log tells the life of every serial. */
export const certificateEvents = (change: StatusChange, certificates: readonly AffectedCertificate[]): AuditEvent[] =>
  certificates.map(({ agentId, instanceId, serial }) => ({ ...change, outcome: 'success', agentId, instanceId, serial }));

/** What is told of a certificate that others hold as well: its status is as it was. */
export const besides = (change: StatusChange): StatusChange => ({ ...change, detail: { ...change.detail, status: 'held by other causes' } }) as StatusChange;
