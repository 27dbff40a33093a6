/** Evidence of one event: all that shows what happened, when, to what, and by whose authority, to somebody who has no access to this service. */
import { EVIDENCE_FORMAT, type Evidence } from '../api/audit-proofs.ts';
import { findCertificate } from '../db/commit.ts';
import { findEventsAround, findIssuanceEvent, type LoggedEventRow } from '../db/logged-events.ts';
import { actedBy, readEvent, type ActedBy } from '../verify/log/event.ts';
import { encodePem } from '../x509/pem.ts';
import { viewLog, type ProofContext, type LogView } from './log-view.ts';
import { eventAsked, proven } from './proofs.ts';

export interface EvidenceContext extends ProofContext {
  /** The certificates between a leaf of this issuer and the root, PEM. */
  chainPemFor(issuerId: string): string;
}

type Shown = Evidence['certificates'][number];
type Authority = Evidence['authority'];

/** @throws SignetError `event-not-found`, `event-purged`, `event-not-logged`, `log-unavailable` */
export async function evidenceOf(ctx: EvidenceContext, asked: string, now: Date): Promise<Evidence> {
  const row = await eventAsked(ctx, asked);
  const view = await viewLog(ctx);
  const event = readEvent(row.event);
  const by = actedBy(event);
  const shown = by.kind === 'certificate' ? by.id : undefined;
  const certificates = await Promise.all([
    ...(event.serial === undefined ? [] : [certificateOf(ctx, view, event.serial, 'subject')]),
    ...(shown === undefined || shown === event.serial ? [] : [certificateOf(ctx, view, shown, 'actor')]),
  ]);
  return {
    format: EVIDENCE_FORMAT,
    madeAt: now.toISOString(),
    log: { origin: view.log.origin, verifierKey: view.log.vkey },
    n: String(row.n),
    ...(await proven(ctx, view, row)),
    checkpoint: view.note,
    certificates: certificates.filter((certificate) => certificate !== undefined),
    authority: await authorityOf(ctx, view, by),
  };
}

const SERIAL = /^[0-9a-f]{40}$/;

async function certificateOf(ctx: EvidenceContext, view: LogView, serial: string, concerns: Shown['concerns']): Promise<Shown | undefined> {
  if (!SERIAL.test(serial)) return undefined;
  const octets = Buffer.from(serial, 'hex');
  const kept = await findCertificate(ctx.db, octets);
  if (!kept) return undefined;
  const issuance = await findIssuanceEvent(ctx.db, octets);
  return { concerns, serial, certificate: encodePem('CERTIFICATE', kept.der), chain: ctx.chainPemFor(kept.issuerId), issuance: issuance ? await provenIfLogged(ctx, view, issuance) : null };
}

/** By what the actor acted, with the event that gave it. */
async function authorityOf(ctx: EvidenceContext, view: LogView, by: ActedBy): Promise<Authority> {
  const made = by.id === undefined ? undefined : await findGrant(ctx, by.kind, by.id);
  return { ...by, grant: made ? await provenIfLogged(ctx, view, made) : null };
}

async function findGrant(ctx: ProofContext, kind: ActedBy['kind'], id: string): Promise<LoggedEventRow | undefined> {
  if (kind === 'api-token') return findMaking(ctx, ['admin-token.created', 'admin-token.rotated'], id);
  if (kind === 'join-token') return findMaking(ctx, ['join-token.created'], id);
  return kind === 'certificate' && SERIAL.test(id) ? findIssuanceEvent(ctx.db, Buffer.from(id, 'hex')) : undefined;
}

/** Ids of tokens are ULIDs, made with the time of the event that tells of them: it is looked for around it. */
const AROUND_MS = 1_000;

async function findMaking(ctx: ProofContext, kinds: string[], id: string): Promise<LoggedEventRow | undefined> {
  const made = timeOfUlid(id);
  if (made === undefined) return undefined;
  const rows = await findEventsAround(ctx.db, kinds, new Date(made - AROUND_MS), new Date(made + AROUND_MS));
  return rows.find(({ event }) => {
    const { target, detail } = readEvent(event);
    return target === id || detail?.['successor'] === id;
  });
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Milliseconds since 1970 of a ULID. */
function timeOfUlid(id: string): number | undefined {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id)) return undefined;
  return [...id.slice(0, 10)].reduce((time, digit) => time * 32 + CROCKFORD.indexOf(digit), 0);
}

/** What only supports the evidence may be newer than the newest checkpoint: it is then left out. */
const provenIfLogged = async (ctx: ProofContext, view: LogView, row: LoggedEventRow): Promise<Authority['grant']> => (Number(row.n) <= view.size ? proven(ctx, view, row) : null);
