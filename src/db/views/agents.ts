import { bucketOf } from '../../x509/serial.ts';
import { agentColumns, findAgent, type AgentRecord, type AgentState, type RiskClass } from '../agents.ts';
import { Prisma, type Db } from '../client.ts';
import { allOf, when } from './conditions.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';

export type AgentView = AgentRecord;
/** An agent, or undefined. */
export const findAgentView: (db: Db, id: string) => Promise<AgentView | undefined> = findAgent;

/** Filters of the list of agents; all that are given must hold. */
export interface AgentFilters {
  name?: string;
  state?: AgentState;
  ownerEmail?: string;
  deputyEmail?: string;
  /** Part of the purpose, in any case. */
  purpose?: string;
  riskClass?: RiskClass;
  environment?: string;
  profile?: string;
  ttlCapSeconds?: number;
  dnsName?: string;
  /** Labels it must carry, each with this value. */
  label?: Record<string, string>;
  createdAfter?: Date;
  createdBefore?: Date;
  updatedAfter?: Date;
  updatedBefore?: Date;
  /** Has a live certificate that no renewal superseded and that ends before this. */
  certificatesExpiringBefore?: Date;
}

/** One page of agents, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listAgentViews(db: Db, filters: AgentFilters, page: PageRequest & { now: Date }): Promise<Page<AgentView>> {
  const query = { list: 'agents', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const rows = await db.$queryRaw<AgentView[]>`
    SELECT ${agentColumns} FROM agents a LEFT JOIN owners o ON o.id = a.owner_id
    WHERE ${allOf([when(after, (id) => Prisma.sql`a.id > ${id}`), ...conditions(filters, page.now)])}
    ORDER BY a.id LIMIT ${page.limit + 1}`;
  return pageOf(query, rows, page.limit, (agent) => [agent.id]);
}

function conditions(filters: AgentFilters, now: Date): (Prisma.Sql | undefined)[] {
  return [
    when(filters.name, (name) => Prisma.sql`a.name = ${name}`),
    when(filters.state, (state) => Prisma.sql`a.state = ${state}`),
    when(filters.ownerEmail, (email) => Prisma.sql`a.owner_id = (SELECT id FROM owners WHERE email = ${email})`),
    when(filters.deputyEmail, (email) => Prisma.sql`a.deputy_email = ${email}`),
    when(filters.purpose, (part) => Prisma.sql`strpos(lower(a.purpose), lower(${part})) > 0`),
    when(filters.riskClass, (riskClass) => Prisma.sql`a.risk_class = ${riskClass}`),
    when(filters.environment, (environment) => Prisma.sql`a.environment = ${environment}`),
    when(filters.profile, (profile) => Prisma.sql`a.profile = ${profile}`),
    when(filters.ttlCapSeconds, (seconds) => Prisma.sql`a.ttl_cap_seconds = ${seconds}`),
    when(filters.dnsName, (name) => Prisma.sql`a.dns_names @> ARRAY[${name}]::text[]`),
    when(filters.label, (labels) => Prisma.sql`a.labels @> ${JSON.stringify(labels)}::jsonb`),
    when(filters.createdAfter, (at) => Prisma.sql`a.created_at > ${at}`),
    when(filters.createdBefore, (at) => Prisma.sql`a.created_at < ${at}`),
    when(filters.updatedAfter, (at) => Prisma.sql`a.updated_at > ${at}`),
    when(filters.updatedBefore, (at) => Prisma.sql`a.updated_at < ${at}`),
    // The bounds on the bucket leave only the partitions between now and then.
    when(filters.certificatesExpiringBefore, (before) => Prisma.sql`EXISTS (
      SELECT 1 FROM certificates c WHERE c.agent_id = a.id AND c.bucket BETWEEN ${bucketOf(now)} AND ${bucketOf(before)}
        AND c.not_after >= ${now} AND c.not_after < ${before} AND c.revoked_at IS NULL AND c.superseded_by IS NULL)`),
  ];
}
