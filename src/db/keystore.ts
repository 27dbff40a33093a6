import type { KeyEncryptionKey, KeystoreKey } from './generated/client.ts';
import { buffer, bytes, inTransaction, type Db } from './client.ts';

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
  sealedPkcs8: Buffer;
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

const toSealedKeyRow = (row: KeystoreKey): SealedKeyRow => ({ ...row, spki: buffer(row.spki), sealedPkcs8: buffer(row.sealedPkcs8) });

/** The key-encryption key this database is sealed under, or undefined before the first start. */
export async function findKek(db: Db): Promise<KekRow | undefined> {
  const row = await db.keyEncryptionKey.findFirst({ orderBy: { createdAt: 'asc' } });
  return row === null ? undefined : toKekRow(row);
}

/** Stores `kek` unless there is one already; returns the one that rules. Replicas that start at the same instant get the same answer. */
export function establishKek(db: Db, kek: KekRow): Promise<KekRow> {
  return inTransaction(db, async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('signet:key_encryption_keys'))`;
    const existing = await tx.keyEncryptionKey.findFirst({ orderBy: { createdAt: 'asc' } });
    if (existing !== null) return toKekRow(existing);
    await tx.keyEncryptionKey.create({
      data: { ...kek, scryptSalt: kek.scryptSalt === undefined ? null : bytes(kek.scryptSalt), checkValue: bytes(kek.checkValue) },
    });
    return kek;
  });
}

/** Stores a sealed private key. Durable when the promise resolves. */
export async function insertSealedKey(db: Db, key: SealedKeyRow): Promise<void> {
  await db.keystoreKey.create({ data: { ...key, spki: bytes(key.spki), sealedPkcs8: bytes(key.sealedPkcs8) } });
}

/** A sealed private key by its id. */
export async function findSealedKey(db: Db, id: string): Promise<SealedKeyRow | undefined> {
  const row = await db.keystoreKey.findUnique({ where: { id } });
  return row === null ? undefined : toSealedKeyRow(row);
}
