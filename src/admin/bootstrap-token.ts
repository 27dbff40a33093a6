import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { makeAdminToken } from '../admins/secret.ts';
import { appendAudit } from '../audit/append.ts';
import { insertAdminToken, hasAdminToken } from '../db/admin-tokens.ts';
import { inTransaction, type Db } from '../db/client.ts';
import { writeSecretFile } from './secret-file.ts';

/** Name of the file in the data folder that holds the first admin token. */
export const BOOTSTRAP_TOKEN_FILE = 'bootstrap-admin-token';

interface Needs {
  db: Db;
  clock: Clock;
  random: Random;
  config: Pick<Config, 'dataDir' | 'adminTokenTtlSeconds'>;
}

/**
 * Makes the first admin token of a cluster that has none; call it under the start lock. The file (0600, fsynced) is there before the token counts, so that a
 * crash between the two leaves a useless file, never an unknown token. Returns the token when it was made now, and the file
 * where it is, unless another machine has it. It ends as any other token does, after config `adminTokenTtlSeconds`: rotate it in time, or make tokens of role
 * admin by name and let it end.
 * @throws StartupError (73) when the file cannot be written
 */
export async function ensureBootstrapToken(needs: Needs): Promise<{ file: string | undefined; token: string | undefined }> {
  const { db, clock, random, config } = needs;
  const file = path.join(config.dataDir, BOOTSTRAP_TOKEN_FILE);
  if (await hasAdminToken(db)) return { file: existsSync(file) ? file : undefined, token: undefined };
  const now = clock.now();
  const { id, token, secretHash } = makeAdminToken(now, random);
  const expiresAt = new Date(now.getTime() + config.adminTokenTtlSeconds * 1000);
  writeSecretFile(file, `${token}\n`);
  const origin = { actor: { kind: 'system', id: 'first-start' }, requestId: null, source: null } as const;
  await inTransaction(db, async (tx) => {
    await insertAdminToken(tx, { id, name: 'bootstrap', role: 'admin', secretHash, expiresAt }, now);
    await appendAudit({ random }, tx, origin, now, { kind: 'admin-token.created', outcome: 'success', target: id, detail: { name: 'bootstrap', role: 'admin', expiresAt: expiresAt.toISOString() } });
  });
  return { file, token };
}
