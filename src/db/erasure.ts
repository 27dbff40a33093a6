import { Prisma, type Tx } from './client.ts';

/** What was erased, in rows. */
export interface Erased {
  /** Fields beside audit events. Their hashes stay in the events; the salts are gone with the values. */
  personalFields: number;
  owners: number;
  /** Texts that people gave with changes, and deputies of agents. */
  texts: number;
}

/** Agents and relying parties that are in use and name the person as owner or deputy. */
export async function registeredOf(tx: Tx, email: string): Promise<string[]> {
  const rows = await tx.$queryRaw<{ what: string }[]>`
    SELECT 'agent ' || a.id AS what FROM agents a LEFT JOIN owners o ON o.id = a.owner_id WHERE a.state <> 'retired' AND ${email} IN (o.email, a.deputy_email)
    UNION ALL SELECT 'relying party ' || r.id FROM relying_parties r JOIN owners o ON o.id = r.owner_id WHERE r.state = 'active' AND o.email = ${email}
    ORDER BY 1 LIMIT 20`;
  return rows.map(({ what }) => what);
}

/** Columns with what people typed, or a deputy's address. */
const TEXTS = [
  ['agents', 'state_reason', null], ['agents', 'deputy_email', null], ['agents', 'purpose', '(erased)'],
  ['instances', 'quarantine_reason', null], ['relying_parties', 'state_reason', null], ['kills', 'reason', '(erased)'], ['renewal_steers', 'reason', '(erased)'],
] as const;

/**
 * Takes an address away wherever it stands, alone or within a text, in any case of letters; one that it is only a part of is somebody else's. An owner's row stays, under an address that
 * nobody has (RFC 2606 §2): agents refer to it. Only the owner of the tables can.
 */
export async function eraseAddress(tx: Tx, email: string): Promise<Erased> {
  const holds = (column: string) => Prisma.sql`lower(${Prisma.raw(column)}) ~ ${wholeAddress(email)}`;
  const personalFields = await tx.$executeRaw`DELETE FROM audit_personal WHERE ${holds('value')}`;
  const owners = await tx.$executeRaw`UPDATE owners SET email = lower(id) || '@erased.invalid' WHERE email = ${email}`;
  let texts = 0;
  for (const [table, column, instead] of TEXTS) texts += await tx.$executeRaw`UPDATE ${Prisma.raw(table)} SET ${Prisma.raw(column)} = ${instead} WHERE ${holds(column)}`;
  return { personalFields, owners, texts };
}

/** A regular expression (POSIX, as PostgreSQL has them) for an address with nothing before or behind it that would make it another one. A full stop or hyphen behind it may end a sentence. */
function wholeAddress(email: string): string {
  const literally = email.toLowerCase().replaceAll(/[!-/:-?[-`{-~]/g, String.raw`\$&`);
  return `(^|[^[:alnum:]._%+-])${literally}($|[^[:alnum:].-]|[.-]+($|[^[:alnum:].-]))`;
}
