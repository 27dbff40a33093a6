import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Clock } from '../../src/core/clock.ts';
import { createLogger, type Logger } from '../../src/core/log.ts';
import { createMetrics, type Metrics } from '../../src/core/metrics.ts';
import { createSystemRandom, type Random } from '../../src/core/random.ts';
import type { Origin } from '../../src/audit/events.ts';
import type { Authorities } from '../../src/authorities/authorities.ts';
import { bootstrapAuthority } from '../../src/authorities/bootstrap.ts';
import { openAuthorities } from '../../src/authorities/open-authorities.ts';
import type { Db } from '../../src/db/client.ts';
import type { ExportingKeyStore } from '../../src/keystore/key-store.ts';
import { openKeyStore } from '../../src/keystore/index.ts';
import { loadProfiles, type Profiles } from '../../src/profiles/profile.ts';
import { FIXED_NOW, type TestDatabase } from './db.ts';

/** A clock that stands still until it is moved. */
export interface MovableClock extends Clock {
  set(now: Date): void;
  /** Moves on by days. */
  advance(days: number): void;
}

export function movableClock(start: Date = FIXED_NOW): MovableClock {
  let at = start.getTime();
  return {
    now: () => new Date(at),
    monotonicMs: () => performance.now(),
    set: (now) => void (at = now.getTime()),
    advance: (days) => void (at += days * 86_400_000),
  };
}

/** One replica's view of an authority in a test database: the parts of a Context that the CA's own life needs. */
export interface TestAuthority {
  config: Config;
  db: Db;
  ownerDb: Db;
  keyStore: ExportingKeyStore;
  authorities: Authorities;
  profiles: Profiles;
  clock: MovableClock;
  random: Random;
  log: Logger;
  metrics: Metrics;
  /** The database's clock as publishers take it: it goes with the movable one. */
  databaseTime: () => Date;
}

export const TEST_ORIGIN: Origin = { actor: { kind: 'command', id: 'test' }, requestId: null, source: null };

/** Config as an environment gives it; only the keys of `env` differ from the defaults. */
export const testConfig = (env: Record<string, string> = {}): Config =>
  loadConfig({ SIGNET_DATA_DIR: '/nonexistent', ...env }, () => {
    throw new Error('no file');
  });

/** Bootstraps (or finds) the authority of a test database and opens it with a movable clock. Close `authorities` at the end. */
export async function openTestAuthority(database: TestDatabase, options: { env?: Record<string, string>; clock?: MovableClock; listen?: boolean } = {}): Promise<TestAuthority> {
  const { product: db, ownerDb } = database;
  const config = testConfig(options.env);
  const clock = options.clock ?? movableClock();
  const random = createSystemRandom();
  const log = createLogger('silent');
  const metrics = createMetrics();
  const { keyStore } = await openKeyStore({ db, random, clock, log }, { kind: 'file', key: Buffer.from(Array.from({ length: 32 }, (_, i) => i)), path: 'test' });
  await bootstrapAuthority({ config, db, keyStore, clock, random, log });
  const authorities = await openAuthorities({ db, keyStore, clock, log, metrics, listenUrl: options.listen ? database.serviceUrl : undefined });
  return { config, db, ownerDb, keyStore, authorities, profiles: loadProfiles(undefined), clock, random, log, metrics, databaseTime: () => clock.now() };
}
