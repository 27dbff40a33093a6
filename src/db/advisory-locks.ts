/**
 * Every advisory lock Signet takes in SQL, as (class, object). One list, so that no two mean different things.
 * The issuance gate stands in prisma/migrations/0002_commit as well.
 */
export const LOCK_CLASS = 7305;
export const ADVISORY_LOCK = {
  /** Shared by every issuance batch, exclusive for what must see none in flight (DESIGN §2). */
  issuanceGate: 1,
  /** Around migrations and the first start; a session's. */
  start: 2,
  /** Around one migration script. */
  migrationScript: 3,
  /** Changes of the authority take turns. */
  authorityChanges: 4,
  /** Makers of partitions take turns. */
  partitions: 5,
  /** Replicas that note the key-encryption key at their first start take turns. */
  keyEncryptionKey: 6,
  /** Purges of the audit log take turns. */
  auditPurge: 9,
} as const;
