import type { FeedEventAnswer } from '../../api/feed.ts';
import type { FollowedEvent } from '../../db/feed.ts';
import { reasonName } from '../reasons.ts';

/** Who is told whose a certificate is, and who is not. */
export type FeedView = 'identity' | 'bare';

/** The world that numbers belong to. */
export interface FeedWorld {
  readonly clusterId: string;
  readonly epoch: number;
}

/** An event as the wire has it. */
export function tellEvent(event: FollowedEvent, view: FeedView): FeedEventAnswer {
  const { agentId, instanceId, ownerId } = event;
  return {
    n: Number(event.n),
    kind: event.kind,
    at: event.at.toISOString(),
    ...(event.serial ? { serial: event.serial.toString('hex') } : {}),
    ...(event.issuerId === null ? {} : { issuerId: event.issuerId }),
    ...(event.reason === null ? {} : { reason: reasonName(event.reason) }),
    ...(event.stop === null ? {} : { stop: event.stop }),
    ...(event.killId === null ? {} : { killId: event.killId }),
    ...(view === 'bare' || agentId === null ? {} : { agentId }),
    ...(view === 'bare' || instanceId === null ? {} : { instanceId }),
    ...(view === 'bare' || ownerId === null ? {} : { ownerId }),
  };
}

/** One server-sent event (WHATWG HTML §9.2). `data` is JSON, so that it is one line. */
export const serverSentEvent = (name: string, data: unknown, id?: string): Buffer =>
  Buffer.from(`event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);

/** Names a number with its world. */
export const cursorOf = ({ clusterId, epoch }: FeedWorld, n: bigint): string => `${clusterId}:${epoch}:${n}`;

/** An event with its octets for each view, made once for all readers. */
export interface ToldEvent {
  readonly n: bigint;
  octets(view: FeedView): Buffer;
}

export function toldEvent(world: FeedWorld, event: FollowedEvent): ToldEvent {
  const made: Partial<Record<FeedView, Buffer>> = {};
  return { n: event.n, octets: (view) => (made[view] ??= serverSentEvent('change', tellEvent(event, view), cursorOf(world, event.n))) };
}
