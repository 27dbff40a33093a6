import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createMetrics } from '../../../src/core/metrics.ts';
import { alone, type Siblings } from '../../../src/core/siblings.ts';
import { configSchema, type Config } from '../../../src/config/schema.ts';
import { createLimits, type Limits } from '../../../src/limits/limits.ts';
import { RateLimited } from '../../../src/limits/rate-limited.ts';

const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
beforeEach(() => {
  clock.nowMs = 0;
});

const limitsWith = (config: Partial<Config>, siblings: Siblings = alone) => {
  const metrics = createMetrics();
  return { metrics, limits: createLimits({ config: { ...configSchema.parse({ dataDir: '/nowhere' }), ...config }, clock, metrics, siblings }) };
};

/** Calls until it is refused; how often it passed, and the refusal. */
function exhausted(call: () => unknown, most = 10_000): { passed: number; refusal: RateLimited } {
  for (let passed = 0; passed < most; passed++) {
    try {
      call();
    } catch (error) {
      if (error instanceof RateLimited) return { passed, refusal: error };
      throw error;
    }
  }
  throw new Error('never refused');
}

describe('each limit', () => {
  const small = { sourceReadRate: 1, sourceReadBurst: 3, sourceIssueRate: 2, sourceIssueBurst: 4, callerReadRate: 1, callerReadBurst: 5, agentIssueRate: 1, agentIssueBurst: 6, joinTokenIssueRate: 1, joinTokenIssueBurst: 7 };
  const CALLS: Record<string, [number, (limits: Limits, who: string) => unknown]> = {
    'source-read': [3, (limits, who) => limits.source('read', who)],
    'source-issue': [4, (limits, who) => limits.source('issue', who)],
    'caller-read': [5, (limits, who) => limits.caller('read', who)],
    'agent-issue': [6, (limits, who) => limits.agent(who)],
    'join-token-issue': [7, (limits, who) => limits.joinToken(who)],
  };

  test.each(Object.entries(CALLS))('%s: its burst passes, then it is refused, counted, and others are not', async (name, [burst, call]) => {
    const { limits, metrics } = limitsWith(small);
    const { passed, refusal } = exhausted(() => call(limits, 'a'));
    expect(passed).toBe(burst);
    expect([refusal.code, refusal.retryAfterSeconds, refusal.standing]).toEqual(['rate-limited', 1, { policy: expect.objectContaining({ name, quota: burst }) as unknown, remaining: 0, resetSeconds: 1 }]);
    expect(exhausted(() => call(limits, 'b')).passed).toBe(burst);
    clock.nowMs = 1_000;
    expect(exhausted(() => call(limits, 'a')).passed).toBe(name === 'source-issue' ? 2 : 1);
    const [, kind, rate] = /^(.*)-(.*?)$/.exec(name) ?? [];
    expect(await metrics.text()).toContain(`signet_rate_limited_total{kind="${kind}",class="${rate}"} 3`);
  });

  test('told as draft-ietf-httpapi-ratelimit-headers means it: the whole quota in the time it takes to come back', () => {
    const { limits } = limitsWith({ sourceReadRate: 30, sourceReadBurst: 100 });
    expect(limits.source('read', 'a')).toEqual({ policy: { name: 'source-read', quota: 100, windowSeconds: 4 }, remaining: 99, resetSeconds: 1 });
  });

  test('0 is no limit', () => {
    const { limits } = limitsWith({ sourceReadRate: 0, agentIssueRate: 0, sourceConnectionRate: 0, credentialFailures: 0 });
    for (let i = 0; i < 5_000; i++) {
      expect(limits.source('read', 'a')).toBeUndefined();
      limits.agent('a');
      limits.failed('join-token', 'a');
      expect(limits.connection('a')).toBe(true);
    }
    limits.assertNoWait('join-token', 'a');
  });

  test('addresses of one IPv6 network are one source', () => {
    const { limits } = limitsWith(small);
    let host = 0;
    expect(exhausted(() => limits.source('read', `2001:db8::${(++host).toString(16)}`)).passed).toBe(3);
    expect(limits.source('read', '2001:db8:0:1::1')).toBeDefined();
  });

  test('connections are counted by themselves', () => {
    const { limits } = limitsWith({ ...small, sourceConnectionRate: 1, sourceConnectionBurst: 2 });
    expect([1, 2, 3].map(() => limits.connection('a'))).toEqual([true, true, false]);
    expect(limits.source('read', 'a')?.remaining).toBe(2);
  });
});

describe('credentials that fail', () => {
  test('make their address wait, twice as long each time; good ones count nothing and wait as well', () => {
    const { limits } = limitsWith({ credentialFailures: 2, credentialWaitMaxSeconds: 5 });
    const waits = [1, 2, 3, 4, 5, 6].map(() => {
      limits.failed('join-token', '192.0.2.1');
      try {
        limits.assertNoWait('join-token', '192.0.2.1');
        return 0;
      } catch (error) {
        const { retryAfterSeconds = 0, standing } = error as RateLimited;
        expect(standing).toBeUndefined();
        clock.nowMs += retryAfterSeconds * 1000;
        limits.assertNoWait('join-token', '192.0.2.1');
        return retryAfterSeconds;
      }
    });
    expect(waits).toEqual([0, 0, 1, 2, 4, 5]);
  });
  test('neither other addresses nor other credentials wait', () => {
    const { limits } = limitsWith({ credentialFailures: 1 });
    for (let i = 0; i < 9; i++) limits.failed('join-token', '192.0.2.1');
    limits.assertNoWait('join-token', '192.0.2.2');
    limits.assertNoWait('api-token', '192.0.2.1');
    expect(() => limits.assertNoWait('join-token', '192.0.2.1')).toThrow(RateLimited);
  });
});

describe('workers of one replica', () => {
  const NONE = undefined as never;
  /** Workers that hear each other as over IPC: what arrives is a copy. */
  function workers(count: number, config: Partial<Config>) {
    const handlers: ((message: unknown) => unknown)[] = [];
    const told: unknown[] = [];
    const limits = Array.from({ length: count }, (_, me) => {
      const siblings: Siblings = {
        workers: count,
        number: me + 1,
        replica: () => ({ serving: [], wasComplete: true, killed: 0 }),
        ask: () => Promise.resolve([]),
        tell(topic, message) {
          told.push([topic, structuredClone(message)]);
          handlers.forEach((handler, other) => other !== me && handler(structuredClone(message)));
        },
        on: (_topic, handler) => void (handlers[me] = handler),
      };
      return limitsWith(config, siblings).limits;
    });
    return { limits, told };
  }
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());
  const later = (ms: number) => {
    clock.nowMs += ms;
    jest.advanceTimersByTime(ms);
  };
  const config = { sourceReadRate: 10, sourceReadBurst: 20, credentialFailures: 3 };

  test('what one let through is counted by the other 100 ms later', () => {
    const { limits: [one = NONE, other = NONE] } = workers(2, config);
    expect(exhausted(() => one.source('read', 'a')).passed).toBe(20);
    later(100);
    expect(exhausted(() => other.source('read', 'a')).passed).toBe(0);
    expect(exhausted(() => other.source('read', 'b')).passed).toBe(20);
  });

  test('the bound: together the limit, and what each of the others lets through in 100 ms; in the long run the limit alone', () => {
    const { limits } = workers(3, config);
    const attack = () => limits.reduce((sum, limit) => sum + exhausted(() => limit.source('read', 'a')).passed, 0);
    expect(attack()).toBe(3 * 20);
    let passed = 60;
    for (let i = 0; i < 1_000; i++) {
      later(100);
      passed += attack();
    }
    // 100 s at 10 a second, and the burst once; (workers − 1) × (rate × 100 ms) may be on their way.
    expect(passed).toBeGreaterThanOrEqual(20 + 1_000);
    expect(passed).toBeLessThanOrEqual(20 + 1_000 + 2 * 20);
  });

  test('failures are shared as well', () => {
    const { limits: [one = NONE, other = NONE] } = workers(2, config);
    for (let i = 0; i < 6; i++) one.failed('api-token', 'a');
    other.assertNoWait('api-token', 'a');
    later(100);
    expect(() => other.assertNoWait('api-token', 'a')).toThrow(RateLimited);
  });

  test('what is told: counts by key once in 100 ms, nothing when nothing happened, nothing of what was refused, no token', () => {
    const { limits: [one = NONE], told } = workers(2, config);
    later(1_000);
    expect(told).toEqual([]);
    for (let i = 0; i < 7; i++) one.source('read', i % 2 === 0 ? 'a' : 'b');
    one.joinToken('sgj_secret');
    later(100);
    exhausted(() => one.source('read', 'a'));
    later(100);
    later(1_000);
    expect(told).toEqual([
      ['rates', new Map([['source-read', new Map([['a', 4], ['b', 3]])], ['join-token-issue', new Map([[createHash('sha256').update('sgj_secret').digest('base64'), 1]])]])],
      ['rates', new Map([['source-read', new Map([['a', 17]])]])],
    ]);
  });

  test('one worker alone tells nothing', () => {
    const { limits: [one = NONE], told } = workers(1, config);
    one.source('read', 'a');
    later(1_000);
    expect(told).toEqual([]);
  });
});
