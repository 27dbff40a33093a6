import type { RELYING_PARTY_STATES } from '../api/relying-parties.ts';
import type { RelyingPartyGrant } from '../api/permissions.ts';
import { bytes, Prisma, type Db, type Tx } from './client.ts';

/** A registered relying party, with the address of who answers for it. */
export interface RelyingPartyRecord {
  id: string;
  name: string;
  state: (typeof RELYING_PARTY_STATES)[number];
  /** What the operator said at the last change of state. */
  stateReason: string | null;
  ownerId: string;
  ownerEmail: string;
  ownerState: 'active' | 'suspended';
  mayAsk: RelyingPartyGrant[];
  /** Counts changes, those of its certificates included, from 1 (If-Match). */
  version: number;
  createdAt: Date;
  updatedAt: Date;
}

/** What a change may set. */
export type RelyingPartyPatch = Partial<Pick<RelyingPartyRecord, 'name' | 'state' | 'stateReason' | 'ownerId' | 'mayAsk'>>;

/** The columns of a RelyingPartyRecord, from `relying_parties p JOIN owners o`. */
export const relyingPartyColumns = Prisma.sql`
  p.id, p.name, p.state, p.state_reason AS "stateReason", p.owner_id AS "ownerId", o.email AS "ownerEmail", o.state AS "ownerState", p.may_ask AS "mayAsk",
  p.version, p.created_at AS "createdAt", p.updated_at AS "updatedAt"`;

export async function findRelyingParty(db: Db | Tx, id: string): Promise<RelyingPartyRecord | undefined> {
  const [row] = await db.$queryRaw<RelyingPartyRecord[]>`SELECT ${relyingPartyColumns} FROM relying_parties p JOIN owners o ON o.id = p.owner_id WHERE p.id = ${id}`;
  return row;
}

/**
 * The relying party as it is once nobody else changes it, locked to the commit. The read is a statement of its own: it sees what the lock waited for. Whoever
 * locks tokens as well locks this row first; a foreign key to it does not wait for the lock.
 */
export async function lockRelyingParty(tx: Tx, id: string): Promise<RelyingPartyRecord | undefined> {
  const locked = await tx.$queryRaw<unknown[]>`SELECT 1 FROM relying_parties WHERE id = ${id} FOR NO KEY UPDATE`;
  return locked.length === 0 ? undefined : findRelyingParty(tx, id);
}

/** Stores a registration; false, with nothing stored, when the name is taken. */
export async function insertRelyingParty(tx: Tx, party: Pick<RelyingPartyRecord, 'id' | 'name' | 'ownerId' | 'mayAsk'>, now: Date): Promise<boolean> {
  const { count } = await tx.relyingParty.createMany({ data: { ...party, state: 'active', createdAt: now, updatedAt: now }, skipDuplicates: true });
  return count === 1;
}

/** Changes a relying party that is still as it was read; false, with nothing changed, when it is not. */
export async function updateRelyingParty(tx: Tx, was: Pick<RelyingPartyRecord, 'id' | 'version'>, patch: RelyingPartyPatch, now: Date): Promise<boolean> {
  const { count } = await tx.relyingParty.updateMany({ where: { id: was.id, version: was.version }, data: { ...patch, version: { increment: 1 }, updatedAt: now } });
  return count === 1;
}

/** A pinned client certificate. */
export interface PinnedCertificate {
  id: string;
  relyingPartyId: string;
  /** SHA-256 of the whole DER. */
  fingerprint: Buffer;
  subject: string;
  issuer: string;
  notBefore: Date;
  notAfter: Date;
}

/** Stores a pin; false, with nothing stored, when the certificate is pinned already, whoever's it is. */
export async function insertPinnedCertificate(tx: Tx, certificate: PinnedCertificate, now: Date): Promise<boolean> {
  const { count } = await tx.relyingPartyCertificate.createMany({ data: { ...certificate, fingerprint: bytes(certificate.fingerprint), createdAt: now }, skipDuplicates: true });
  return count === 1;
}

export const countPinnedCertificates = (tx: Tx, relyingPartyId: string): Promise<number> => tx.relyingPartyCertificate.count({ where: { relyingPartyId } });

/** Removes a pin and returns its fingerprint; undefined when the relying party has none with this id. */
export async function deletePinnedCertificate(tx: Tx, relyingPartyId: string, id: string): Promise<Buffer | undefined> {
  const [row] = await tx.$queryRaw<{ fingerprint: Uint8Array }[]>`DELETE FROM relying_party_certificates WHERE id = ${id} AND relying_party_id = ${relyingPartyId} RETURNING fingerprint`;
  return row && Buffer.from(row.fingerprint);
}

/** Whose a shown certificate is: the relying party that pinned it, as it is now. */
export interface PinHolder {
  relyingPartyId: string;
  state: RelyingPartyRecord['state'];
  mayAsk: RelyingPartyGrant[];
  notBefore: Date;
  notAfter: Date;
}

/** Who pinned the certificate with this SHA-256, or undefined. */
export async function findPinHolder(db: Db, fingerprint: Uint8Array): Promise<PinHolder | undefined> {
  const [row] = await db.$queryRaw<PinHolder[]>`
    SELECT p.id AS "relyingPartyId", p.state, p.may_ask AS "mayAsk", c.not_before AS "notBefore", c.not_after AS "notAfter"
    FROM relying_party_certificates c JOIN relying_parties p ON p.id = c.relying_party_id WHERE c.fingerprint = ${bytes(fingerprint)}`;
  return row;
}
