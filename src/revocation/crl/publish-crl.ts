import type { Authorities, Authority } from '../../authorities/authorities.ts';
import { appendAuditHot } from '../../audit/append.ts';
import type { Origin } from '../../audit/events.ts';
import type { Barrier } from '../../core/barrier.ts';
import type { Clock } from '../../core/clock.ts';
import { SignetError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import { inHotTransaction, type Db, type HotTx } from '../../db/client.ts';
import { COMPLETE, lockCrl, readListed, storeCrl, storeCrlPart, takeCrlNumber, type CrlName, type ListBuild, type ListFacts, type LockedCrl } from '../../db/crls.ts';
import { CRL_PART_BYTES, frameCrl, TbsCertListWriter } from '../../x509/crl.ts';
import { encodeAuthorityKeyIdentifier } from '../../x509/extensions/authority-key-identifier.ts';
import { encodeCrlNumber } from '../../x509/extensions/crl-number.ts';
import { encodeIssuingDistributionPoint } from '../../x509/extensions/issuing-distribution-point.ts';
import type { Extension } from '../../x509/extensions/extension.ts';
import { crlUrl } from './crl-url.ts';
import { createOctetsWriter, frameOctets, type ListOctets, type OctetsWriter } from './list-octets.ts';

/** What publishing needs; a Context serves. */
export interface PublishNeeds {
  db: Db;
  authorities: Pick<Authorities, 'snapshot'>;
  clock: Clock;
  random: Random;
  barrier: Barrier;
  log: Pick<Logger, 'warn'>;
  config: { publicUrl: string; crlIntervalSeconds: number; crlValiditySeconds: number };
  /** Stands in for the clock of the database, where a test moves the other. */
  databaseTime?: () => Date;
  /** Awaited between the parts of a list: a long one lets shorter ones go first. */
  giveWay?: () => Promise<void>;
}

/** A list that was published. Its octets are the caller's: to be served or released. */
export interface PublishedCrl extends ListFacts, ListBuild {
  content: ListOctets;
}

export interface PublishRequest extends CrlName {
  /** Only when the feed had a change that the stored list lacks: another publisher may have been first. */
  onlyIfStale: boolean;
}

/**
 * Publishes one list (RFC 5280 §5) in one transaction: lock its row, take the number, then read what is revoked, sign, store. So a
 * higher number holds everything committed before a lower one was built, and no number is used twice, whoever publishes (invariant 6).
 * The list is made, hashed and stored in parts, and the event loop goes round between them.
 * Returns undefined when `onlyIfStale` and the stored list lacked nothing. @throws SignetError `authority-not-found`
 */
export async function publishCrl(ctx: PublishNeeds, origin: Origin, request: PublishRequest): Promise<PublishedCrl | undefined> {
  return (await publish(ctx, origin, request, request.onlyIfStale ? ({ stale }) => (stale ? 0 : undefined) : () => 0)).list;
}

/**
 * The same for a list that may lack a change, unless one was stored less than `intervalMs` ago, by whichever publisher: then it says how long to wait. Returns
 * neither when the stored list lacks nothing.
 */
export const publishStale = (ctx: PublishNeeds, origin: Origin, name: CrlName, intervalMs: (last: ListBuild) => number): Promise<Publication> =>
  publish(ctx, origin, name, ({ stale, last }) => (!stale ? undefined : last === undefined || last.ageMs < 0 ? 0 : Math.max(0, intervalMs(last) - last.ageMs)));

export interface Publication {
  list: PublishedCrl | undefined;
  /** Milliseconds until it may be published; 0 when it was, or need not be. */
  waitMs: number;
}

/** `wait` says for how long a list is not to be published yet, in milliseconds; undefined when it need not be. */
async function publish(ctx: PublishNeeds, origin: Origin, { issuerId, shard }: CrlName, wait: (locked: LockedCrl) => number | undefined): Promise<Publication> {
  const name = { issuerId, shard };
  const now = ctx.clock.now();
  const issuer = signerOf(ctx, issuerId);
  let content: ListOctets | undefined;
  const publication = await inHotTransaction(ctx.db, async (tx): Promise<Publication> => {
    const locked = await lockCrl(tx, name);
    if (!locked) throw new SignetError('authority-not-found', `there is no list ${shard} of issuer ${issuerId}`);
    const waitMs = wait(locked) ?? -1;
    if (waitMs !== 0) return { list: undefined, waitMs: Math.max(0, waitMs) };
    const beganMs = ctx.clock.monotonicMs();
    const number = await takeCrlNumber(tx, name);
    await ctx.barrier('crl:numbered');
    const built = await build(ctx, tx, { issuer, shard, number, locked, now: listTime(ctx, name, now, locked) });
    content = built.content;
    let part = 0;
    for await (const octets of content.read()) {
      for (let at = 0; at < octets.length; at += CRL_PART_BYTES) await storeCrlPart(tx, name, number, part++, octets.subarray(at, at + CRL_PART_BYTES));
      await ctx.giveWay?.();
      await ctx.barrier('crl:part-stored');
    }
    const list = { ...built, buildMs: Math.ceil(ctx.clock.monotonicMs() - beganMs) };
    const latestEnd = await storeCrl(tx, name, { ...list, feedN: locked.feedN });
    await ctx.barrier('crl:before-commit');
    await appendAuditHot(ctx, tx, origin, now, {
      kind: 'crl.published',
      outcome: 'success',
      target: `${issuerId}/${shard === COMPLETE ? 'complete' : shard}`,
      authority: issuerId,
      detail: { number: String(number), entries: list.entries, thisUpdate: list.thisUpdate.toISOString(), nextUpdate: list.nextUpdate.toISOString(), feedN: String(locked.feedN), latestEnd: latestEnd.toISOString() },
    });
    return { list, waitMs: 0 };
  }).catch((error: unknown) => {
    content?.release();
    throw error;
  });
  if (publication.list) await ctx.barrier('crl:committed');
  return publication;
}

function signerOf(ctx: PublishNeeds, issuerId: string): Authority {
  const snapshot = ctx.authorities.snapshot();
  const issuer = snapshot.issuerById(issuerId) ?? snapshot.rootById(issuerId);
  if (!issuer) throw new SignetError('authority-not-found', `there is no issuer ${issuerId}`);
  return issuer;
}

/**
 * What a list is dated by: the clock of this process, as far as the database's has come. One that is days ahead would make lists that nobody accepts yet, and as thisUpdate
 * never goes back, all later ones with them; and it would take certificates for expired that are not.
 */
function listTime(ctx: PublishNeeds, { issuerId, shard }: CrlName, now: Date, { databaseNow }: LockedCrl): Date {
  const limit = ctx.databaseTime?.() ?? databaseNow;
  const aheadSeconds = Math.round((now.getTime() - limit.getTime()) / 1000);
  if (aheadSeconds > CLOCK_AHEAD_SECONDS && shard === COMPLETE) ctx.log.warn({ issuer: issuerId, aheadSeconds }, "the clock of this process is ahead of the database's, which lists are dated by");
  return aheadSeconds > 0 ? limit : now;
}

interface Build {
  issuer: Authority;
  shard: number;
  number: bigint;
  locked: LockedCrl;
  now: Date;
}

async function build(ctx: PublishNeeds, tx: HotTx, { issuer, shard, number, locked, now }: Build): Promise<Omit<PublishedCrl, 'buildMs'>> {
  const { config } = ctx;
  // thisUpdate never goes back, whatever a clock does (invariant 6). Lists carry whole seconds.
  const thisUpdate = new Date(Math.max(Math.floor(now.getTime() / 1000) * 1000, locked.thisUpdate?.getTime() ?? 0));
  const nextUpdate = new Date(thisUpdate.getTime() + config.crlValiditySeconds * 1000);
  const writer = new TbsCertListWriter({
    issuerName: issuer.nameDer,
    signatureAlgorithm: issuer.signatureAlgorithm,
    thisUpdate,
    nextUpdate,
    extensions: listExtensions(config.publicUrl, issuer, shard, number),
  });
  const entries = createOctetsWriter(ctx.log);
  try {
    const select = { issuerId: issuer.id, shard, expiredBefore: expiredBefore(locked, now, config.crlIntervalSeconds) };
    await readListed(tx, select, (bytes, from, to, revokedAtMs, reason) => writer.addFrom(bytes, from, to, revokedAtMs, reason), async () => {
      await ctx.giveWay?.();
      await pushAll(entries, writer.takeFull());
    });
    const { head, entries: left, tail } = writer.finish();
    await pushAll(entries, left);
    const body = entries.finish();
    const tbs = frameOctets(head, body, tail);
    const { before, behind } = frameCrl(tbs.length, issuer.signatureAlgorithm, await issuer.signCrl(tbs.read()));
    const content = frameOctets(Buffer.concat([before, head]), body, Buffer.concat([tail, behind]));
    return { number, thisUpdate, nextUpdate, entries: writer.count, octets: content.length, content };
  } catch (error) {
    entries.abandon();
    throw error;
  }
}

async function pushAll(writer: OctetsWriter, parts: readonly Buffer[]): Promise<void> {
  for (const part of parts) await writer.push(part);
}

/** A clock may be ahead by so much without taking away what has not ended: ten minutes, and what lists are late by. Seconds. */
const CLOCK_AHEAD_SECONDS = 900;

/**
 * An entry stays until it was on a regularly scheduled list issued after its certificate expired (RFC 5280 §3.3): it goes only when the
 * last list was later than that, and a whole interval has passed, in which a scheduled one was due.
 */
function expiredBefore(locked: LockedCrl, now: Date, intervalSeconds: number): Date {
  if (!locked.thisUpdate) return new Date(0);
  return new Date(Math.min(locked.thisUpdate.getTime(), now.getTime() - Math.max(intervalSeconds, CLOCK_AHEAD_SECONDS) * 1000));
}

/** §5.2. A shard says critically that it is one; the complete list must do without (GnuTLS, strongSwan, NSS, mbedTLS: DESIGN §6). */
function listExtensions(publicUrl: string, issuer: Authority, shard: number, number: bigint): Extension[] {
  return [
    encodeAuthorityKeyIdentifier(issuer.keyIdentifier),
    encodeCrlNumber(number),
    ...(shard === COMPLETE ? [] : [encodeIssuingDistributionPoint({ uris: [crlUrl(publicUrl, issuer.id, shard)] })]),
  ];
}
