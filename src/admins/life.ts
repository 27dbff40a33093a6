import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';

/** When a token made now ends: after `ttlSeconds`. @throws SignetError `ttl-not-granted` beyond config `adminTokenMaxTtlSeconds` */
export function endOfToken({ config }: Pick<Context, 'config'>, ttlSeconds: number, now: Date): Date {
  const { adminTokenMaxTtlSeconds } = config;
  if (ttlSeconds > adminTokenMaxTtlSeconds) throw new SignetError('ttl-not-granted', `an API token lives at most ${adminTokenMaxTtlSeconds} s, ${ttlSeconds} s were asked for`);
  return new Date(now.getTime() + ttlSeconds * 1000);
}
