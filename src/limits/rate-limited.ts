import { SignetError } from '../core/errors.ts';

/** A limit as it is told to callers: `quota` requests in `windowSeconds`. */
export interface LimitPolicy {
  /** Its kind and, where there is one, its rate class. */
  name: string;
  quota: number;
  windowSeconds: number;
}

/** How a caller stands with one limit after its request. */
export interface LimitStanding {
  policy: LimitPolicy;
  /** Requests that would pass now. */
  remaining: number;
  /** Seconds until one more would. */
  resetSeconds: number;
}

/** A request over a limit, refused before the work that the limit protects. */
export class RateLimited extends SignetError {
  /** Not there for a wait after failures: that is no quota. */
  readonly standing: LimitStanding | undefined;

  constructor(detail: string, waitMs: number, standing?: LimitStanding) {
    super('rate-limited', detail, { retryAfterSeconds: Math.ceil(waitMs / 1000) });
    this.standing = standing;
  }
}
