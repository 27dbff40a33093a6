import { acknowledgeRevocations, leaveEnforcementPoint, lease, registerEnforcementPoint, type LeaseAnswer } from '../../api/feed.ts';
import { ApiError, type ApiClient } from '../api-client.ts';

/** Says what is applied, under the identity of the relying party. One request at a time: whatever was applied meanwhile goes with the next. */
export interface Acknowledger {
  /** Everything up to `n` is applied. */
  applied(n: number, world: { cluster: string; epoch: number }): void;
  /** The last number the service confirmed; undefined before the first. */
  confirmed(): number | undefined;
  /** Says goodbye, as far as that can be said at once. */
  leave(): Promise<void>;
}

const RETRY_MS = 500;
/** Renewals in the time of one lease. */
const RENEWALS = 3;
const LEAVE_MS = 2_000;

/** `client` gives the door that is in use. */
export function createAcknowledger(name: string, client: () => ApiClient, random: () => number): Acknowledger {
  let held: LeaseAnswer | undefined;
  let wanted: { n: number; cluster: string; epoch: number } | undefined;
  let told: number | undefined;
  let running = false;
  let underWay: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const later = (ms: number): void => {
    clearTimeout(timer);
    if (stopped) return;
    timer = setTimeout(() => {
      underWay = work();
    }, ms);
  };

  async function work(): Promise<void> {
    if (running || stopped || !wanted) return;
    running = true;
    const asked = wanted;
    try {
      held ??= lease.parse(JSON.parse((await client().call(registerEnforcementPoint, { body: { name } })).text));
      const answer = await client().call(acknowledgeRevocations, { params: { enforcementPointId: held.id }, body: asked });
      held = lease.parse(JSON.parse(answer.text));
      told = asked.n;
      running = false;
      if (wanted.n > asked.n) later(0);
      else later((held.leaseSeconds * 1000) / RENEWALS);
    } catch (error) {
      running = false;
      if (error instanceof ApiError && error.problem?.code === 'enforcement-point-not-found') held = undefined;
      later(RETRY_MS * (1 + random()));
    }
  }

  async function goodbye(): Promise<void> {
    // An acknowledgement that arrives after it would bring the lease back.
    await underWay;
    if (held) await client().call(leaveEnforcementPoint, { params: { enforcementPointId: held.id } }).catch(() => undefined);
  }

  return {
    applied(n, { cluster, epoch }) {
      wanted = { n, cluster, epoch };
      if (!running && n !== told) later(0);
    },
    confirmed: () => told,
    async leave() {
      stopped = true;
      clearTimeout(timer);
      await Promise.race([goodbye(), new Promise((resolve) => setTimeout(resolve, LEAVE_MS).unref())]);
    },
  };
}
