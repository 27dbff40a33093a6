import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';

/** A scheduled piece of work: one runner in the whole cluster for each time bucket. Running it twice must do no harm. */
export interface Job {
  readonly name: string;
  /** When, UTC: five fields, or six with seconds first. Every day alike. */
  readonly cron: string;
  /** Missed buckets before the newest that are still run. */
  readonly backfill: number;
  /**
   * Calls use cases; throws when it could not do its work, and is then tried again. `signal` aborts when the replica stops: a job that can take minutes asks it
   * between its steps and throws its reason, so that another replica goes on.
   */
  run(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void>;
  /** Asked before a bucket is taken: a bucket in which nothing is due leaves no run. */
  isDue?(ctx: Context): Promise<boolean>;
}

/** What a job's events say of who acted. */
export const jobOrigin = (name: string): Origin => ({ actor: { kind: 'job', id: name }, requestId: null, source: null });
