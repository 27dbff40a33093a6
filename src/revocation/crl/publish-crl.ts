import type { Authorities, Authority } from '../../authorities/authorities.ts';
import { appendAudit } from '../../audit/append.ts';
import type { Origin } from '../../audit/events.ts';
import type { Barrier } from '../../core/barrier.ts';
import type { Clock } from '../../core/clock.ts';
import { SignetError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { inTransaction, type Db, type Tx } from '../../db/client.ts';
import { COMPLETE, lockCrl, readListed, storeCrl, takeCrlNumber, type CrlName, type LockedCrl, type StoredCrl } from '../../db/crls.ts';
import { assembleCrl, TbsCertListWriter } from '../../x509/crl.ts';
import { encodeAuthorityKeyIdentifier } from '../../x509/extensions/authority-key-identifier.ts';
import { encodeCrlNumber } from '../../x509/extensions/crl-number.ts';
import { encodeIssuingDistributionPoint } from '../../x509/extensions/issuing-distribution-point.ts';
import type { Extension } from '../../x509/extensions/extension.ts';
import { crlUrl } from './crl-url.ts';

/** What publishing needs; a Context serves. */
export interface PublishNeeds {
  db: Db;
  authorities: Pick<Authorities, 'snapshot'>;
  clock: Clock;
  random: Random;
  barrier: Barrier;
  config: { publicUrl: string; crlIntervalSeconds: number; crlValiditySeconds: number };
}

export interface PublishRequest extends CrlName {
  /** Only when the feed had a change that the stored list lacks: another publisher may have been first. */
  onlyIfStale: boolean;
}

/**
 * Publishes one list (RFC 5280 §5) in one transaction: lock its row, take the number, then read what is revoked, sign, store. So a
 * higher number holds everything committed before a lower one was built, and no number is used twice, whoever publishes (invariant 6).
 * Returns undefined when `onlyIfStale` and the stored list lacked nothing. @throws SignetError `authority-not-found`
 */
export async function publishCrl(ctx: PublishNeeds, origin: Origin, request: PublishRequest): Promise<StoredCrl | undefined> {
  const { issuerId, shard } = request;
  const now = ctx.clock.now();
  const issuer = signerOf(ctx, issuerId);
  const published = await inTransaction(ctx.db, async (tx) => {
    const locked = await lockCrl(tx, issuerId, shard);
    if (!locked) throw new SignetError('authority-not-found', `there is no list ${shard} of issuer ${issuerId}`);
    if (request.onlyIfStale && !locked.stale) return undefined;
    const number = await takeCrlNumber(tx, issuerId, shard);
    await ctx.barrier('crl:numbered');
    const list = await build(ctx, tx, { issuer, shard, number, locked, now });
    await storeCrl(tx, issuerId, shard, { ...list, feedN: locked.feedN });
    await ctx.barrier('crl:before-commit');
    await appendAudit(ctx, tx, origin, now, {
      kind: 'crl.published',
      outcome: 'success',
      target: `${issuerId}/${shard === COMPLETE ? 'complete' : shard}`,
      authority: issuerId,
      detail: { number: String(number), entries: list.entries, thisUpdate: list.thisUpdate.toISOString(), nextUpdate: list.nextUpdate.toISOString(), feedN: String(locked.feedN) },
    });
    return list;
  });
  if (!published) return undefined;
  await ctx.barrier('crl:committed');
  return published;
}

function signerOf(ctx: PublishNeeds, issuerId: string): Authority {
  const snapshot = ctx.authorities.snapshot();
  const issuer = snapshot.issuerById(issuerId) ?? snapshot.rootById(issuerId);
  if (!issuer) throw new SignetError('authority-not-found', `there is no issuer ${issuerId}`);
  return issuer;
}

interface Build {
  issuer: Authority;
  shard: number;
  number: bigint;
  locked: LockedCrl;
  now: Date;
}

async function build(ctx: PublishNeeds, tx: Tx, { issuer, shard, number, locked, now }: Build): Promise<StoredCrl> {
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
  for await (const chunk of readListed(tx, { issuerId: issuer.id, shard, expiredBefore: expiredBefore(locked, now, config.crlIntervalSeconds) })) {
    for (const entry of chunk) writer.add(entry);
  }
  const { count } = writer;
  const tbs = writer.finish();
  const signature = await issuer.signCrl(tbs);
  return { number, thisUpdate, nextUpdate, entries: count, der: assembleCrl(tbs, issuer.signatureAlgorithm, signature) };
}

/**
 * An entry stays until it was on a regularly scheduled list issued after its certificate expired (RFC 5280 §3.3): it goes only when the
 * last list was later than that, and a whole interval has passed, in which a scheduled one was due.
 */
function expiredBefore(locked: LockedCrl, now: Date, intervalSeconds: number): Date {
  if (!locked.thisUpdate) return new Date(0);
  return new Date(Math.min(locked.thisUpdate.getTime(), now.getTime() - intervalSeconds * 1000));
}

/** §5.2. A shard says critically that it is one; the complete list must do without (GnuTLS, strongSwan, NSS, mbedTLS: DESIGN §6). */
function listExtensions(publicUrl: string, issuer: Authority, shard: number, number: bigint): Extension[] {
  return [
    encodeAuthorityKeyIdentifier(issuer.keyIdentifier),
    encodeCrlNumber(number),
    ...(shard === COMPLETE ? [] : [encodeIssuingDistributionPoint({ uris: [crlUrl(publicUrl, issuer.id, shard)] })]),
  ];
}
