import type { KeyEncryptionKey, KeystoreKey } from './generated/client.ts';
import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';
import { buffer, bytes, inTransaction, type Db, type Tx } from './client.ts';

/** What tells one key-encryption key from another. The key itself is never stored. */
export interface KekRow {
  id: string;
  source: 'file' | 'passphrase';
  /** Salt of scrypt, for a passphrase. */
  scryptSalt: Buffer | undefined;
  /** A known text sealed under the key: opens only under the same key. */
  checkValue: Buffer;
  createdAt: Date;
}

/** A private key at rest. */
export interface SealedKeyRow {
  id: string;
  algorithm: string;
  purpose: string;
  spki: Buffer;
  /** Null when the key was destroyed: its last certificate is long retired. */
  sealedPkcs8: Buffer | null;
  kekId: string;
  createdAt: Date;
}

const toKekRow = (row: KeyEncryptionKey): KekRow => ({
  id: row.id,
  source: row.source as KekRow['source'],
  scryptSalt: row.scryptSalt === null ? undefined : buffer(row.scryptSalt),
  checkValue: buffer(row.checkValue),
  createdAt: row.createdAt,
});

const toSealedKeyRow = (row: KeystoreKey): SealedKeyRow => ({ ...row, spki: buffer(row.spki), sealedPkcs8: row.sealedPkcs8 && buffer(row.sealedPkcs8) });

/** The key-encryption key this database is sealed under, or undefined before the first start. */
export async function findKek(db: Db): Promise<KekRow | undefined> {
  const row = await db.keyEncryptionKey.findFirst({ orderBy: { createdAt: 'asc' } });
  return row === null ? undefined : toKekRow(row);
}

/** Stores `kek` unless there is one already; returns the one that rules. Replicas that start at the same instant get the same answer. */
export function establishKek(db: Db, kek: KekRow): Promise<KekRow> {
  return inTransaction(db, async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK_CLASS}::int, ${ADVISORY_LOCK.keyEncryptionKey}::int)`;
    const existing = await tx.keyEncryptionKey.findFirst({ orderBy: { createdAt: 'asc' } });
    if (existing !== null) return toKekRow(existing);
    await tx.keyEncryptionKey.create({
      data: { ...kek, scryptSalt: kek.scryptSalt === undefined ? null : bytes(kek.scryptSalt), checkValue: bytes(kek.checkValue) },
    });
    return kek;
  });
}

/** Stores a sealed private key. Durable when the promise resolves. */
export async function insertSealedKey(db: Db, key: SealedKeyRow & { sealedPkcs8: Buffer }): Promise<void> {
  await db.keystoreKey.create({ data: { ...key, spki: bytes(key.spki), sealedPkcs8: bytes(key.sealedPkcs8) } });
}

/** A sealed private key by its id. */
export async function findSealedKey(db: Db, id: string): Promise<SealedKeyRow | undefined> {
  const row = await db.keystoreKey.findUnique({ where: { id } });
  return row === null ? undefined : toSealedKeyRow(row);
}

/**
 * Destroys the private keys of issuers, responders, TLS certificates and the feed whose every certificate was retired before `retiredBefore`, and those of audit logs
 * that ended before; the rows stay, for the certificates and logs that name them. Returns how many.
 */
export const destroyRetiredKeys = (db: Db | Tx, retiredBefore: Date): Promise<number> =>
  db.$executeRaw`
    UPDATE keystore_keys k SET sealed_pkcs8 = NULL WHERE k.sealed_pkcs8 IS NOT NULL AND (
      k.purpose IN ('issuing', 'ocsp', 'tls', 'feed')
        AND EXISTS (SELECT 1 FROM authority_certificates a WHERE a.key_id = k.id)
        AND NOT EXISTS (SELECT 1 FROM authority_certificates a WHERE a.key_id = k.id AND (a.state <> 'retired' OR a.retired_at IS NULL OR a.retired_at >= ${retiredBefore}))
      OR k.purpose = 'log' AND EXISTS (SELECT 1 FROM audit_logs l WHERE l.key_id = k.id AND l.state = 'ended' AND l.changed_at < ${retiredBefore}))`;

/** Deletes keys made before `madeBefore` that never got a certificate or a log: their maker was second, or was stopped. Returns how many. */
export const deleteUnusedKeys = (db: Db | Tx, madeBefore: Date): Promise<number> =>
  db.$executeRaw`
    DELETE FROM keystore_keys k WHERE k.created_at < ${madeBefore} AND NOT EXISTS (SELECT 1 FROM authority_certificates a WHERE a.key_id = k.id)
      AND NOT EXISTS (SELECT 1 FROM audit_logs l WHERE l.key_id = k.id)`;
