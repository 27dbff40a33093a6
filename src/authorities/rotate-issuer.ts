import type { AuditEvent, Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { insertAuthorities, listsPublished, liveAuthorities, lockIssuance, moveAuthority, type AuthorityRecord } from '../db/authorities.ts';
import type { Profiles } from '../profiles/profile.ts';
import { rootOf } from './authority-of.ts';
import { begun, changeAuthority, madeEvent, select, type AuthorityContext, type LockedAuthority } from './change.ts';
import { makeIssuing, makeResponder } from './make-certificate.ts';
import { wouldOutlast } from './renewal.ts';
import type { AuthorityConfig } from './templates.ts';

/** `prepare`: make the next issuer and publish it. `activate`: make the prepared one issue. `auto`: whichever comes next. */
export type RotationStep = 'prepare' | 'activate' | 'auto';

const MS_PER_DAY = 86_400_000;
/** The lists of a new issuer are published by a job that looks every few seconds. */
const RETRY_SECONDS = 15;

/**
 * One step of issuer rotation: prepared → active → retiring (reference/peers.md, SPIRE; DESIGN §2 for the gate).
 * @throws SignetError `authority-state-conflict` when the step is not the next one, or the prepared issuer's lists are not published yet
 */
export async function rotateIssuer(ctx: AuthorityContext, origin: Origin, step: RotationStep): Promise<void> {
  const now = ctx.clock.now();
  const next = step === 'auto' ? nextStep(await liveAuthorities(ctx.db)) : step;
  if (next === 'prepare') await prepareIssuer(ctx, origin, now);
  else await activateIssuer(ctx, origin, now);
}

const nextStep = (records: readonly AuthorityRecord[]): 'prepare' | 'activate' => (select(records, 'issuing', 'prepared').length > 0 ? 'activate' : 'prepare');

const conflict = (detail: string, retryAfterSeconds?: number): SignetError =>
  new SignetError('authority-state-conflict', detail, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });

/** Makes the next issuing CA with its responder and the rows of its lists. It issues nothing yet. */
async function prepareIssuer(ctx: AuthorityContext, origin: Origin, now: Date): Promise<void> {
  const root = preparable(ctx.config, await liveAuthorities(ctx.db), now);
  await begun(ctx, origin, 'prepare-issuer', async () => {
    const { record, issuer } = await makeIssuing(ctx, rootOf(root, ctx.keyStore), 'prepared', now);
    const responder = await makeResponder(ctx, issuer, now);
    await changeAuthority(ctx, origin, now, async ({ tx, records }) => {
      if (preparable(ctx.config, records, now).id !== root.id) throw conflict('the root was changed meanwhile; try again');
      await insertAuthorities(tx, [record, responder]);
      return [madeEvent('authority.prepared', record), madeEvent('authority.created', responder)];
    });
  });
}

/** The root to make the next issuer under. @throws SignetError `authority-state-conflict` when one is prepared, or it would end no later than the active one */
function preparable(config: AuthorityConfig, records: readonly AuthorityRecord[], now: Date): AuthorityRecord {
  const [prepared] = select(records, 'issuing', 'prepared');
  if (prepared !== undefined) throw conflict(`issuer ${prepared.id} is prepared already; activate it`);
  const [root] = select(records, 'root', 'active');
  if (root === undefined) throw conflict('there is no active root');
  const [active] = select(records, 'issuing', 'active');
  const outlasts = active === undefined ? root.notAfter > now : wouldOutlast(active, config.issuerValidityDays, root.notAfter, now);
  if (!outlasts) throw conflict(`the root ends at ${root.notAfter.toISOString()} and cannot carry another issuer; roll the root over first`);
  return root;
}

/**
 * The switch, under the exclusive issuance gate: batches in flight are committed before it, later ones find the new issuer or are still allowed
 * under the retiring one, so no renewal fails meanwhile.
 */
async function activateIssuer(ctx: AuthorityContext, origin: Origin, now: Date): Promise<void> {
  await changeAuthority(ctx, origin, now, async (authority) => {
    const { tx, records } = authority;
    const [next] = select(records, 'issuing', 'prepared');
    if (next === undefined) throw conflict('no issuer is prepared; prepare one first');
    if (next.notAfter <= now) throw conflict(`the prepared issuer ended at ${next.notAfter.toISOString()}`);
    if (!(await listsPublished(tx, next.id))) throw conflict('the lists of the prepared issuer are not published yet', RETRY_SECONDS);
    await lockIssuance(tx);
    const [active] = select(records, 'issuing', 'active');
    if (active !== undefined) await move(authority, active, 'active', 'retiring', now);
    await move(authority, next, 'prepared', 'active', now);
    return [activatedEvent(next, active), ...(await switchRoot(authority, next, now))];
  });
}

/** After a root rollover the first issuer of the new root takes its root along. */
async function switchRoot(authority: LockedAuthority, issuer: AuthorityRecord, now: Date): Promise<AuditEvent[]> {
  const next = select(authority.records, 'root', 'prepared').find((root) => root.id === issuer.issuerId);
  if (next === undefined) return [];
  const [old] = select(authority.records, 'root', 'active');
  if (old !== undefined) await move(authority, old, 'active', 'retiring', now);
  await move(authority, next, 'prepared', 'active', now);
  return [activatedEvent(next, old)];
}

async function move({ tx }: LockedAuthority, record: AuthorityRecord, from: AuthorityRecord['state'], to: AuthorityRecord['state'], now: Date): Promise<void> {
  if (!(await moveAuthority(tx, record.id, from, to, now))) throw conflict(`authority ${record.id} was changed meanwhile`);
}

const activatedEvent = (record: AuthorityRecord, replaced: AuthorityRecord | undefined): AuditEvent => ({
  kind: 'authority.activated',
  outcome: 'success',
  serial: record.serial,
  target: record.id,
  detail: { kind: record.kind, replaces: replaced?.id ?? null },
});

export interface RotationConfig {
  readonly issuerPrepareBeforeDays: number;
  readonly issuerActivateBeforeDays: number;
  readonly issuerValidityDays: number;
}

/** What the calendar asks for now. */
export interface DueRotation {
  prepare: boolean;
  activate: boolean;
  /** The active issuer must be replaced, but its root ends too soon to carry another. */
  rootTooShort: boolean;
}

/**
 * Pure: which steps are due. A successor is made `issuerPrepareBeforeDays` and issues `issuerActivateBeforeDays` before the active issuer ends,
 * and never later than the longest leaf needs to fit into its issuer.
 */
export function dueRotation(config: RotationConfig, profiles: Profiles, records: readonly AuthorityRecord[], now: Date): DueRotation {
  const [active] = select(records, 'issuing', 'active');
  const prepared = select(records, 'issuing', 'prepared').length > 0;
  const [root] = select(records, 'root', 'active');
  const leftMs = (active?.notAfter.getTime() ?? 0) - now.getTime();
  const activateMs = Math.max(config.issuerActivateBeforeDays * MS_PER_DAY, longestLeafMs(profiles));
  const prepareMs = Math.max(config.issuerPrepareBeforeDays * MS_PER_DAY, activateMs);
  const fits = root !== undefined && (active === undefined ? root.notAfter > now : wouldOutlast(active, config.issuerValidityDays, root.notAfter, now));
  return {
    prepare: !prepared && leftMs <= prepareMs && fits,
    activate: leftMs <= activateMs && (prepared || fits),
    rootTooShort: !prepared && leftMs <= prepareMs && !fits,
  };
}

const longestLeafMs = (profiles: Profiles): number => Math.max(0, ...profiles.names().map((name) => profiles.get(name)?.maxTtlSeconds ?? 0)) * 1000;
