import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { StartupError } from '../core/errors.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { makeAdminToken } from '../admins/secret.ts';
import { appendAudit } from '../audit/append.ts';
import { insertAdminToken, hasAdminToken } from '../db/admin-tokens.ts';
import { inTransaction, type Db } from '../db/client.ts';

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

function writeSecretFile(file: string, content: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    // A leftover of a killed run might be readable by others.
    rmSync(`${file}.new`, { force: true });
    const handle = openSync(`${file}.new`, 'wx', 0o600);
    try {
      writeSync(handle, content);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw new StartupError(`the admin token cannot be written to ${file}: ${(error as Error).message}`, 73, error);
  }
}
