import type { Context } from '../context.ts';
import type { AuditEvent, Origin, StatusChange } from '../audit/events.ts';
import type { InstanceFlip, StateFlip } from '../db/kill-states.ts';
import type { KillStep } from '../db/kill-steps.ts';
import { killCause, type KillRecord } from '../db/kills.ts';
import type { IssuanceStop } from '../db/stops.ts';
import { besides } from './certificate-events.ts';
import { feedOf, type FeedEvent } from './feed.ts';
import { reasonName } from './reasons.ts';

/** What kills tell: to the feed only what is another state than before, to the audit log every cause. Pure but for `countChanged`. */

/** A kill that begins. */
export type Started = Pick<KillRecord, 'id' | 'selector' | 'target' | 'effect' | 'reason' | 'revocationReason' | 'actorKind' | 'actorId' | 'createdAt'>;

/** What its first statements changed. */
export interface Hit {
  owners: StateFlip[];
  agents: StateFlip[];
  instances: InstanceFlip[];
  stop?: IssuanceStop | undefined;
}

/** The name of a stop in the feed. */
export const stopName = ({ kind, target }: Pick<IssuanceStop, 'kind' | 'target'>): string => (kind === 'everything' ? kind : `${kind}:${target}`);

/** Only what is another state than before is news. */
export function feedOfStates({ id: killId, effect, revocationReason }: Started, { owners, agents, instances, stop }: Hit): FeedEvent[] {
  const reason = revocationReason === null ? {} : { reason: revocationReason };
  return [
    ...(stop ? [{ kind: 'issuance-stopped', stop: stopName(stop), killId } as const] : []),
    ...owners.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => ({ kind: 'owner-suspended', ownerId: id, killId })),
    ...agents.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => (effect === 'retire' ? { kind: 'agent-retired', agentId: id, killId, ...reason } : { kind: 'agent-suspended', agentId: id, killId })),
    ...instances.filter(({ flipped }) => flipped).map(({ id, agentId }): FeedEvent =>
      effect === 'revoke' ? { kind: 'instance-revoked', agentId, instanceId: id, killId, ...reason } : { kind: 'instance-quarantined', agentId, instanceId: id, killId },
    ),
  ];
}

/** Every cause that came, also where it changed no state. Why is told once, by `kill.started`. */
function auditOfStates({ id: target, effect }: Started, { owners, agents, instances, stop }: Hit): AuditEvent[] {
  const common = { outcome: 'success', target } as const;
  const detail = (flipped: boolean) => (flipped ? {} : { status: 'as before, with one cause more' } as const);
  return [
    ...(stop ? [{ ...common, kind: 'issuance.stopped', detail: { stop: stopName(stop) } } as const] : []),
    ...owners.map(({ id, flipped }): AuditEvent => ({ ...common, kind: 'owner.suspended', detail: { owner: id, ...detail(flipped) } })),
    ...agents.map(({ id, flipped }): AuditEvent => ({ ...common, kind: effect === 'retire' ? 'agent.retired' : 'agent.suspended', agentId: id, detail: detail(flipped) })),
    ...instances.map(({ id, agentId, flipped }): AuditEvent => ({ ...common, kind: effect === 'revoke' ? 'instance.revoked' : 'instance.quarantined', agentId, instanceId: id, detail: detail(flipped) })),
  ];
}

/** What a later transaction of its has changed of states. */
export const auditOfAgents = (kill: Started, agents: StateFlip[]): AuditEvent[] => auditOfStates(kill, { owners: [], agents, instances: [] });

/** The events of its beginning. */
export function auditOfStart(started: Started, hit: Hit): AuditEvent[] {
  const { id, selector, target, effect, reason } = started;
  const numbers = { owners: hit.owners.length, agents: hit.agents.length, instances: hit.instances.length };
  return [{ kind: 'kill.started', outcome: 'success', target: id, detail: { selector, selected: target, effect, ...numbers }, personal: { reason } }, ...auditOfStates(started, hit)];
}

/** A job, or another operator, that finishes a kill does it for whoever began it. */
export const onBehalfOf = (origin: Origin, { actorKind, actorId, state }: KillRecord): Origin =>
  state === 'resuming' || (origin.actor.kind === actorKind && origin.actor.id === actorId) ? origin : { ...origin, onBehalfOf: { kind: actorKind as Origin['actor']['kind'], id: actorId } };

/** What was revoked must not open the way to another certificate after its end either. What is suspended cannot, as long as it is. */
export function coveredSince({ profiles }: Pick<Context, 'profiles'>, { effect, createdAt }: Pick<KillRecord, 'effect' | 'createdAt'>): Date {
  return effect === 'revoke' ? new Date(createdAt.getTime() - profiles.longestGraceSeconds * 1000) : createdAt;
}

/** What a step changed. */
export function feedOfStep(kill: KillRecord, { changed, agents, instances }: Pick<KillStep, 'changed' | 'agents' | 'instances'>): FeedEvent[] {
  const killId = kill.id;
  const certificates = feedOf(certificateKind(kill), changed.filter(({ flipped }) => flipped)).map((event) => ({ ...event, killId }));
  return [
    ...agents.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => ({ kind: 'agent-resumed', agentId: id, killId })),
    ...instances.filter(({ flipped }) => flipped).map(({ id, agentId }): FeedEvent => ({ kind: 'instance-released', agentId, instanceId: id, killId })),
    ...certificates,
  ];
}

const certificateKind = ({ state, effect }: Pick<KillRecord, 'state' | 'effect'>) => (state === 'resuming' ? 'released' : effect === 'suspend' ? 'held' : 'revoked');

export function auditOfStep(kill: KillRecord, { changed, agents, instances }: Pick<KillStep, 'changed' | 'agents' | 'instances'>): AuditEvent[] {
  const common = { outcome: 'success', target: kill.id } as const;
  const kind = certificateKind(kill);
  const what: StatusChange = kind === 'revoked' ? { kind: 'certificate.revoked', detail: { reason: reasonName(kill.revocationReason ?? 0) } } : { kind: `certificate.${kind}`, detail: { cause: killCause(kill.id) } };
  const others = { status: 'suspended by other causes' } as const;
  return [
    ...agents.map(({ id, flipped }): AuditEvent => ({ ...common, kind: 'agent.resumed', agentId: id, ...(flipped ? {} : { detail: others }) })),
    ...instances.map(({ id, agentId, flipped }): AuditEvent => ({ ...common, kind: 'instance.released', agentId, instanceId: id, ...(flipped ? {} : { detail: others }) })),
    ...changed.map(({ serial, agentId, instanceId, flipped }): AuditEvent => ({ ...common, ...(flipped ? what : besides(what)), agentId, instanceId, serial })),
  ];
}

export const finishedEvent = (kill: KillRecord, counts: { released: number } | { certificates: number }): AuditEvent => ({ kind: 'kill.finished', outcome: 'success', target: kill.id, detail: { of: kill.state === 'resuming' ? 'resume' : kill.effect, ...counts } });

export function countChanged({ metrics }: Pick<Context, 'metrics'>, kill: KillRecord, certificates: number): void {
  if (certificates === 0) return;
  const kind = certificateKind(kill);
  if (kind === 'revoked') metrics.revoked.inc({ reason: reasonName(kill.revocationReason ?? 0) }, certificates);
  else (kind === 'held' ? metrics.held : metrics.released).inc(certificates);
}
