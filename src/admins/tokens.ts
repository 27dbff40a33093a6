import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { findPresentedToken, type PresentedToken } from '../db/admin-tokens.ts';
import type { Db } from '../db/client.ts';
import { createCredentialCache } from './credential-cache.ts';
import { parseAdminToken } from './secret.ts';

/** API tokens as this process knows them. */
export interface AdminTokens {
  /** The token whose secret this is, as it was at most a second ago, revoked and expired ones included; undefined for anything else. */
  find(token: string): Promise<PresentedToken | undefined>;
  /** The next `find` looks into the database. */
  forget(): void;
}

/** Compared with where there is no token, so that it takes as long. */
const NO_HASH = Buffer.alloc(32);

export function createAdminTokens({ db, clock }: { db: Db; clock: Pick<Clock, 'monotonicMs'> }): AdminTokens {
  const cache = createCredentialCache<PresentedToken>({ clock }, async (key) => {
    const [id = '', hash = ''] = key.split(' ');
    const token = await findPresentedToken(db, id);
    return timingSafeEqual(token?.secretHash ?? NO_HASH, Buffer.from(hash, 'hex')) ? token : undefined;
  });
  return {
    async find(token) {
      const parsed = parseAdminToken(token);
      return parsed && cache.find(`${parsed.id} ${parsed.secretHash.toString('hex')}`);
    },
    forget: () => cache.forget(),
  };
}
