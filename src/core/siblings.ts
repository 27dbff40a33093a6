/**
 * The other workers of this replica (DESIGN §1: a replica is all workers behind one set of ports). Messages are structured clones: plain values, Buffers,
 * Maps, Dates; no functions. A topic has one handler in each process.
 */
export interface Siblings {
  /** Workers of this replica that should run, this one included. */
  readonly workers: number;
  /**
   * Asks every other worker and resolves with the answers of those that gave one: when all have answered or ended, or after `timeoutMs`. Never rejects.
   * Whoever ended or stays silent is not among the answers.
   */
  ask(topic: SiblingTopic, message: unknown, timeoutMs: number): Promise<unknown[]>;
  /** Tells every other worker, without an answer. */
  tell(topic: SiblingTopic, message: unknown): void;
  /** What this worker does when it is told or asked. What the handler gives (or resolves to) is the answer. */
  on(topic: SiblingTopic, handler: (message: unknown) => unknown): void;
}

/** The closed list of what workers say to each other. */
export type SiblingTopic =
  /** Certificates whose status changed (revocation/signals.ts): the answer confirms that no memory here calls them good. */
  | 'certificates-changed'
  /** A credential that was revoked or changed: forget what is remembered of it. */
  | 'credential-changed'
  /** Counts of the rate limiter since the last message. */
  | 'rates'
  /** The metrics of a worker, as prom-client's JSON. */
  | 'metrics'
  /** The readiness checks of a worker. */
  | 'readiness';

/** A replica of one worker. */
export const alone: Siblings = { workers: 1, ask: () => Promise.resolve([]), tell: () => undefined, on: () => undefined };
