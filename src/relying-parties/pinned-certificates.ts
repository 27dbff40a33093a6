import { createCredentialCache, type CredentialCache } from '../admins/credential-cache.ts';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../db/client.ts';
import { findPinHolder, type PinHolder } from '../db/relying-parties.ts';

/** Pinned certificates as this process knows them, by the SHA-256 of their DER in hexadecimal. */
export type PinnedCertificates = CredentialCache<PinHolder>;

export const createPinnedCertificates = ({ db, clock }: { db: Db; clock: Pick<Clock, 'monotonicMs'> }): PinnedCertificates =>
  createCredentialCache<PinHolder>({ clock }, (sha256) => findPinHolder(db, Buffer.from(sha256, 'hex')));
