import type { RelyingPartyGrant } from '../../api/permissions.ts';
import { buffer, Prisma, type Db } from '../client.ts';
import { findRelyingParty, relyingPartyColumns, type PinnedCertificate, type RelyingPartyRecord } from '../relying-parties.ts';
import { allOf, when } from './conditions.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

/** A pinned certificate with the time it was pinned. */
export type PinnedCertificateView = PinnedCertificate & { createdAt: Date };

/** A relying party with the certificates it has pinned, oldest first. */
export interface RelyingPartyView extends RelyingPartyRecord {
  certificates: PinnedCertificateView[];
}

/** Filters of the list; all that are given must hold. */
export interface RelyingPartyFilters {
  name?: string;
  state?: RelyingPartyRecord['state'];
  ownerEmail?: string;
  mayAsk?: RelyingPartyGrant;
}

export async function findRelyingPartyView(db: Db, id: string): Promise<RelyingPartyView | undefined> {
  const party = await findRelyingParty(db, id);
  return party && (await withCertificates(db, [party]))[0];
}

/** One page of relying parties, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listRelyingPartyViews(db: Db, filters: RelyingPartyFilters, page: PageRequest): Promise<Page<RelyingPartyView>> {
  const query = { list: 'relying-parties', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const conditions = [
    when(after, (id) => Prisma.sql`p.id > ${id}`),
    when(filters.name, (name) => Prisma.sql`p.name = ${name}`),
    when(filters.state, (state) => Prisma.sql`p.state = ${state}`),
    when(filters.ownerEmail, (email) => Prisma.sql`o.email = ${email}`),
    when(filters.mayAsk, (grant) => Prisma.sql`${grant} = ANY (p.may_ask)`),
  ];
  const rows = await db.$queryRaw<RelyingPartyRecord[]>`
    SELECT ${relyingPartyColumns} FROM relying_parties p JOIN owners o ON o.id = p.owner_id WHERE ${allOf(conditions)} ORDER BY p.id LIMIT ${page.limit + 1}`;
  const { items, nextCursor } = pageOf(query, rows, page.limit, (party) => [party.id]);
  return { items: await withCertificates(db, items), nextCursor };
}

async function withCertificates(db: Db, parties: readonly RelyingPartyRecord[]): Promise<RelyingPartyView[]> {
  const rows = await db.relyingPartyCertificate.findMany({ where: { relyingPartyId: { in: parties.map(({ id }) => id) } }, orderBy: { id: 'asc' } });
  const pinned = rows.map((row) => ({ ...row, fingerprint: buffer(row.fingerprint) }));
  return parties.map((party) => ({ ...party, certificates: pinned.filter(({ relyingPartyId }) => relyingPartyId === party.id) }));
}
