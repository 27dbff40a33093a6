/** What the supervisor and its workers say to each other over IPC: structured clones. */
import type { Started } from '../app.ts';
import type { Config } from '../config/schema.ts';
import type { ReplicaState, SiblingTopic } from '../core/siblings.ts';
import type { StartupExitCode } from '../core/errors.ts';
import type { EmbeddedAccess } from '../db/embedded.ts';

/** What a worker is to be. */
export interface WorkerOrder {
  /** As the supervisor has read it: a file that changes meanwhile makes no two workers differ. */
  config: Config;
  warnings: readonly string[];
  /** The ways into the embedded database, where the supervisor runs one. */
  embedded: EmbeddedAccess | undefined;
  number: number;
  workers: number;
  /** Makes the first start, runs the jobs and publishes the lists. */
  leads: boolean;
}

export type ToWorker =
  | { kind: 'start'; order: WorkerOrder }
  | { kind: 'lead' }
  | { kind: 'stop' }
  /** Whoever gets to read it is alive, and says so. */
  | { kind: 'probe' }
  | { kind: 'replica'; state: ReplicaState }
  | { kind: 'asked'; ask: number; topic: SiblingTopic; message: unknown }
  | { kind: 'told'; topic: SiblingTopic; message: unknown }
  /** `left`: how many have neither answered nor ended. Without an answer somebody has ended. */
  | { kind: 'answered'; ask: number; left: number; answer?: unknown };

export type ToSupervisor =
  | { kind: 'ready'; started: Started }
  /** It serves, and has lost something that no other worker has either. */
  | { kind: 'cannot-go-on'; reason: string }
  | { kind: 'failed'; message: string; exitCode: StartupExitCode }
  | { kind: 'alive' }
  | { kind: 'handles'; topic: SiblingTopic }
  | { kind: 'ask'; ask: number; topic: SiblingTopic; message: unknown; timeoutMs: number }
  /** Without an answer the handler failed. */
  | { kind: 'answer'; ask: number; answer?: unknown }
  | { kind: 'tell'; topic: SiblingTopic; message: unknown };
