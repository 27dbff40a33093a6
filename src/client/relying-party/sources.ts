import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import type { Certificate } from '../../x509/certificate.ts';
import type { Question, Reply } from './ask.ts';

/** What a source says of one certificate. */
export interface Said {
  status: 'good' | 'revoked' | 'held' | 'unknown';
  source: 'ocsp' | 'crl';
  /** When it was true, and until when it may be relied on. */
  thisUpdate: Date;
  nextUpdate: Date | undefined;
}

/** What sources of status work with. */
export interface SourceNeeds {
  ask: (question: Question) => Promise<Reply>;
  clock: Clock;
  random: Random;
  timeoutMs: number;
  /** Base URL of the status door, instead of the one in certificates. */
  statusUrl: string | undefined;
}

/** Why a source says nothing: a silent server, or an answer that is not believed. */
export class NothingSaid extends Error {
  override readonly name = 'NothingSaid';
}

/** Asked of one certificate: of the whole list, or of OCSP. `issuer` is the next one on a valid path, so its word counts. */
export interface Source {
  /** @throws NothingSaid */
  ask(certificate: Certificate, issuer: Certificate): Promise<Said>;
}

const FIRST_PAUSE_MS = 500;
const MOST_PAUSE_MS = 15_000;
const MAX_PLACES = 256;

interface Pause {
  why: string;
  untilMs: number;
  pauseMs: number;
}

/** Remembers which addresses did not answer: one that is down costs its time limit once in a while, and not each caller. */
export interface Patience {
  /** @throws NothingSaid while it is not worth asking */
  assertWorthAsking(url: string): void;
  failed(url: string, why: string): void;
  answered(url: string): void;
}

export function createPatience({ clock, random }: Pick<SourceNeeds, 'clock' | 'random'>): Patience {
  const paused = new Map<string, Pause>();
  return {
    assertWorthAsking(url) {
      const pause = paused.get(url);
      if (pause && clock.monotonicMs() < pause.untilMs) throw new NothingSaid(pause.why);
    },
    failed(url, why) {
      const pauseMs = Math.min(MOST_PAUSE_MS, (paused.get(url)?.pauseMs ?? FIRST_PAUSE_MS / 2) * 2);
      const spread = 0.75 + (random.bytes(1)[0] ?? 0) / 512;
      if (paused.size >= MAX_PLACES) paused.clear();
      paused.set(url, { why, pauseMs, untilMs: clock.monotonicMs() + pauseMs * spread });
    },
    answered: (url) => void paused.delete(url),
  };
}

/** Runs what has the same name once for all who ask meanwhile. */
export function createOnce<T>(): (name: string, work: () => Promise<T>) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  return (name, work) => {
    const known = running.get(name);
    if (known) return known;
    const started = work().finally(() => running.delete(name));
    running.set(name, started);
    return started;
  };
}

/** Lets so many work at once; the others wait, so many, and more are turned away. */
export function createTurnstile(atOnce: number, waitingMost: number): <T>(work: () => Promise<T>) => Promise<T> {
  let inside = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (inside >= atOnce) {
      if (waiting.length >= waitingMost) throw new NothingSaid(`${waitingMost} questions wait already`);
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else inside++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else inside--;
    }
  };
}

/** Addresses of one certificate that are tried. */
const MAX_ADDRESSES = 2;

/** The addresses in a certificate that is trusted, those of the status door that is configured instead. */
export function addressesOf(urls: readonly string[], statusUrl: string | undefined): string[] {
  const first = urls.slice(0, MAX_ADDRESSES);
  if (statusUrl === undefined) return first;
  return first.flatMap((text) => {
    const url = URL.parse(text);
    return url ? [new URL(url.pathname + url.search, statusUrl).href] : [];
  });
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
