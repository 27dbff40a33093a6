/** Whether a certificate is in the log of issuances: what a relying party asks that takes only logged ones, so that a stolen issuing key makes it nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { getIssuanceProof } from '../../api/audit-proofs.ts';
import type { Clock } from '../../core/clock.ts';
import type { LogFault } from '../../verify/log/log-error.ts';
import { logTrust, verifyIssuanceProof } from '../../verify/log/issuance-proof.ts';
import { ApiError } from '../api-client.ts';
import { refuse, type Refused } from './decision.ts';
import { createDoors } from './doors.ts';
import type { LogOptions, Settings } from './options.ts';
import { createOnce, NothingSaid, type SourceNeeds } from './sources.ts';

/** What is known of a certificate and the log. `assumed`: nobody could say, and the mode is `open`. */
export type LogStanding = { is: 'proven' } | { is: 'assumed'; why: string; untilMs: number } | { is: 'refused'; refused: Refused; untilMs: number };

/** A certificate, and what was learned of it: kept with it, and only there. */
export interface LogSubject {
  der: Buffer;
  /** SHA-256 of it, hexadecimal. */
  fingerprint: string;
  standing: LogStanding | undefined;
}

export interface LogJudge {
  /** At once, from what is known; undefined: the service must be asked. */
  now(subject: LogSubject): LogStanding | undefined;
  ask(subject: LogSubject): Promise<LogStanding>;
  close(): void;
}

const DEFAULT_WAIT_MS = 5_000;
/** Where the service does not say when to come again. */
const AGAIN_MS = 1_000;
/** A certificate that is in no log is not asked for again before. */
const REFUSED_AGAIN_MS = 10_000;
/** Faults of a proof that another one, some seconds later, may not have. */
const PASSING: readonly LogFault[] = ['too-few-witnesses'];

export interface LogNeeds extends Pick<SourceNeeds, 'clock' | 'random' | 'timeoutMs'> {
  settings: Pick<Settings, 'mode' | 'maxStalenessMs'>;
  pem: () => string;
}

/** @throws RangeError, LogError for options that nothing could fulfil */
export function createLogJudge(needs: LogNeeds, options: LogOptions): LogJudge {
  const { clock, settings } = needs;
  const { logKey, witnesses = [], quorum = 0 } = logTrust(options);
  if (options.from === undefined || options.from.urls.length === 0) throw new RangeError('requireLogged asks the service: it needs a feed, or `from`');
  if (quorum > witnesses.length) throw new RangeError('requireLogged wants more witnesses than it knows');
  const doors = createDoors(needs, options.from, needs.pem);
  const once = createOnce<LogStanding>();
  const waitMs = options.waitMs ?? DEFAULT_WAIT_MS;
  const sinceProof = createSince(clock);

  const refused = (why: string): LogStanding => ({ is: 'refused', refused: refuse('certificate-not-logged', why), untilMs: clock.monotonicMs() + REFUSED_AGAIN_MS });

  /** Asks once; `againMs`: whoever asks later may learn more. */
  async function askOnce({ der, fingerprint }: LogSubject): Promise<LogStanding | { againMs: number; why: string }> {
    let proof: unknown;
    try {
      proof = await doors.call(getIssuanceProof, { fingerprint }, isAnswer);
    } catch (error) {
      if (!(error instanceof NothingSaid) || !(error.cause instanceof ApiError)) throw error;
      const { problem, retryAfterSeconds } = error.cause;
      if (problem?.code === 'certificate-not-found') return refused('the service never issued the certificate');
      if (problem?.code !== 'event-not-logged' || retryAfterSeconds === undefined) throw error;
      return { againMs: retryAfterSeconds * 1_000 || AGAIN_MS, why: error.message };
    }
    const verdict = verifyIssuanceProof({ certificate: der, proof, logKey, witnesses, quorum });
    if ('logged' in verdict) {
      sinceProof.begin();
      return { is: 'proven' };
    }
    const why = `the proof that it was logged does not hold: ${verdict.detail} [${verdict.fault}]`;
    return PASSING.includes(verdict.fault) ? { againMs: AGAIN_MS, why } : refused(why);
  }

  /** A new certificate is in the log some seconds later: for so long it is waited. @throws NothingSaid */
  async function askPatiently(subject: LogSubject): Promise<LogStanding> {
    const untilMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const said = await askOnce(subject);
      if ('is' in said) return said;
      if (clock.monotonicMs() + said.againMs > untilMs) throw new NothingSaid(`${said.why}; it was waited for ${waitMs} ms`);
      await sleep(said.againMs, undefined, { ref: false });
    }
  }

  function cannotKnow(why: string): LogStanding {
    const untilMs = clock.monotonicMs() + AGAIN_MS;
    if (settings.mode === 'open' && sinceProof.ms() <= settings.maxStalenessMs) return { is: 'assumed', why: `whether it was logged is not known: ${why}`, untilMs };
    return { is: 'refused', refused: refuse('status-unknown', `whether it was logged cannot be known: ${why}`), untilMs };
  }

  function now({ standing }: LogSubject): LogStanding | undefined {
    return standing?.is === 'proven' || (standing && clock.monotonicMs() < standing.untilMs) ? standing : undefined;
  }

  return {
    now,
    async ask(subject) {
      const known = now(subject);
      if (known) return known;
      const ask = async (): Promise<LogStanding> => {
        try {
          return await askPatiently(subject);
        } catch (error) {
          if (error instanceof NothingSaid) return cannotKnow(error.message);
          throw error;
        }
      };
      return (subject.standing = await once(subject.fingerprint, ask));
    },
    close: () => doors.close(),
  };
}

const ANSWERS: readonly (string | undefined)[] = ['certificate-not-found', 'event-not-logged', 'event-purged'];
const isAnswer = ({ problem }: ApiError): boolean => ANSWERS.includes(problem?.code);

/** Time since something, by both clocks: a machine that slept counts that, too. */
function createSince(clock: Clock): { begin(): void; ms(): number } {
  const at = (): { wallMs: number; monotonicMs: number } => ({ wallMs: clock.now().getTime(), monotonicMs: clock.monotonicMs() });
  let begun = at();
  return {
    begin: () => void (begun = at()),
    ms: () => Math.max(at().wallMs - begun.wallMs, at().monotonicMs - begun.monotonicMs),
  };
}
