import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { AUTHORITIES_CHANNEL, authorityVersion, liveAuthorities } from '../db/authorities.ts';
import type { Db } from '../db/client.ts';
import { createListener } from '../db/listen.ts';
import type { KeyStore } from '../keystore/key-store.ts';
import type { Authorities, AuthoritySnapshot } from './authorities.ts';
import { buildSnapshot } from './snapshot.ts';

/** NOTIFY is the fast way; this is how stale a replica may be when a notification was lost. Milliseconds. */
const POLL_MS = 2_000;

export interface AuthoritiesDeps {
  db: Db;
  keyStore: KeyStore;
  clock: Clock;
  log: Logger;
  metrics: Pick<Metrics, 'authorityNotAfter'>;
  /** A direct connection to the database, not a pooler's. Without one only the poll is left. */
  listenUrl: string | undefined;
}

/**
 * Reads the authority and keeps reading it: by NOTIFY, and by a poll as the safety net.
 * @throws when the first read fails: bootstrapAuthority comes before
 */
export async function openAuthorities(deps: AuthoritiesDeps): Promise<Authorities> {
  const listeners: ((snapshot: AuthoritySnapshot) => void)[] = [];
  let version = '';
  let current = await read();
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let lost = false;
  const wake = (): void => {
    reload().then(
      () => {
        if (lost) deps.log.info('the authority is read again');
        lost = false;
      },
      (error: unknown) => {
        if (!lost) deps.log.warn({ err: error }, 'the authority cannot be read; the last snapshot stays in use');
        lost = true;
      },
    );
  };
  const timer = setInterval(wake, POLL_MS);
  timer.unref();
  const listener = deps.listenUrl === undefined ? undefined : createListener(deps.listenUrl, AUTHORITIES_CHANNEL, wake, deps.log);

  async function read(): Promise<AuthoritySnapshot> {
    // The version first: a change between the two statements is seen again at the next read, never missed.
    const seen = await authorityVersion(deps.db);
    const snapshot = buildSnapshot(deps, { records: await liveAuthorities(deps.db), bundleSequence: seen.bundleSequence });
    version = seen.version;
    measure(deps.metrics, snapshot);
    return snapshot;
  }

  async function refresh(): Promise<void> {
    const seen = await authorityVersion(deps.db);
    if (seen.version === version) return;
    current = await read();
    for (const listener of listeners) listener(current);
  }

  /** One read at a time; callers that come during one share the next, which starts after their call. */
  function reload(): Promise<void> {
    if (running === undefined) {
      running = refresh().finally(() => {
        running = undefined;
      });
      return running;
    }
    queued ??= running.then(ignore, ignore).then(() => {
      queued = undefined;
      return reload();
    });
    return queued;
  }

  return {
    snapshot: () => current,
    reload,
    subscribe: (listener) => void listeners.push(listener),
    async close() {
      clearInterval(timer);
      await listener?.close();
      await Promise.allSettled([running, queued]);
    },
  };
}

const ignore = (): void => undefined;

function measure(metrics: AuthoritiesDeps['metrics'], snapshot: AuthoritySnapshot): void {
  metrics.authorityNotAfter.reset();
  const set = (kind: string, one: { id: string; notAfter: Date }) => metrics.authorityNotAfter.set({ kind, authority: one.id }, one.notAfter.getTime() / 1000);
  for (const root of snapshot.roots) set('root', root);
  for (const issuer of snapshot.issuing) {
    set('issuing', issuer);
    const responder = snapshot.responderFor(issuer.id);
    if (responder !== undefined) set('ocsp', responder);
  }
  if (snapshot.tls !== undefined) set('tls', snapshot.tls);
  if (snapshot.feed !== undefined) set('feed', snapshot.feed);
}
