/**
 * The other workers of this replica (DESIGN §1: a replica is all workers behind one set of ports). Messages are structured clones: plain values, Buffers,
 * Maps, Dates; no functions. A topic has one handler in each process.
 */
export interface Siblings {
  /** Workers of this replica that should run, this one included. */
  readonly workers: number;
  /** The number of this worker, from 1. Whoever takes its place has the same. */
  readonly number: number;
  /** Which workers serve now, this one included, as far as is known here. */
  replica(): ReplicaState;
  /**
   * Asks every other worker that has a handler, and resolves with the answers of those that gave one: when all have answered or ended, or after `timeoutMs`.
   * Never rejects. Whoever ended or stays silent is not among the answers.
   */
  ask(topic: SiblingTopic, message: unknown, timeoutMs: number): Promise<unknown[]>;
  /** Tells every other worker that has a handler, without an answer. */
  tell(topic: SiblingTopic, message: unknown): void;
  /** What this worker does when it is told or asked. What the handler gives (or resolves to) is the answer; one that fails gives none. */
  on(topic: SiblingTopic, handler: (message: unknown) => unknown): void;
}

export interface ReplicaState {
  /** Numbers of the workers whose doors are open. */
  readonly serving: readonly number[];
  /** Whether all of them have served since the replica was started: one that is missing now has ended and is being replaced. */
  readonly wasComplete: boolean;
  /** Workers that hung and were killed since then. */
  readonly killed: number;
}

/** The closed list of what workers say to each other. */
export type SiblingTopic =
  /** Certificates whose status changed (revocation/signals.ts): the answer confirms that no memory here calls them good. */
  | 'certificates-changed'
  /** The id of a credential that was revoked or changed: the answer confirms that what was remembered of it is forgotten. */
  | 'credential-changed'
  /** A list of revoked certificates that a worker is about to serve: the answer confirms that no older one is served here any more. */
  | 'list-served'
  /** Counts of the rate limiter since the last message. */
  | 'rates'
  /** The metrics of a worker, as prom-client's JSON. */
  | 'metrics'
  /** The readiness checks of a worker. */
  | 'readiness';

const ALONE: ReplicaState = { serving: [1], wasComplete: true, killed: 0 };
/** A replica of one worker. */
export const alone: Siblings = { workers: 1, number: 1, replica: () => ALONE, ask: () => Promise.resolve([]), tell: () => undefined, on: () => undefined };
