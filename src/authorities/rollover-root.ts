import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { insertAuthorities, liveAuthorities, type AuthorityRecord } from '../db/authorities.ts';
import { rootOf } from './authority-of.ts';
import { begun, changeAuthority, madeEvent, select, type AuthorityContext } from './change.ts';
import { makeCross, makeIssuing, makeResponder, makeRoot } from './make-certificate.ts';

/**
 * Makes a new root, its cross certificate under every root that still lives, and a prepared issuing CA with its responder under it. The bundle
 * holds old and new roots from now on; the new one takes over when its issuer is activated (rotateIssuer).
 * @throws SignetError `authority-state-conflict` while an issuer is prepared
 */
export async function rolloverRoot(ctx: AuthorityContext, origin: Origin): Promise<void> {
  const now = ctx.clock.now();
  const older = crossSigners(await liveAuthorities(ctx.db), now);
  await begun(ctx, origin, 'rollover-root', async () => {
    const { record: rootRecord, root } = await makeRoot(ctx, 'prepared', now);
    const crosses: AuthorityRecord[] = [];
    for (const signer of older) crosses.push(await makeCross(ctx, rootOf(signer, ctx.keyStore), rootRecord, now));
    const { record: issuerRecord, issuer } = await makeIssuing(ctx, root, 'prepared', now);
    const responder = await makeResponder(ctx, issuer, now);
    await changeAuthority(ctx, origin, now, async ({ tx, records }) => {
      const signers = crossSigners(records, now);
      if (signers.map((signer) => signer.id).join() !== older.map((signer) => signer.id).join()) {
        throw new SignetError('authority-state-conflict', 'the roots were changed meanwhile; try again');
      }
      await insertAuthorities(tx, [rootRecord, ...crosses, issuerRecord, responder]);
      return [
        madeEvent('authority.prepared', rootRecord),
        ...crosses.map((cross) => madeEvent('authority.cross-signed', cross)),
        madeEvent('authority.prepared', issuerRecord),
        madeEvent('authority.created', responder),
      ];
    });
  });
}

/** Roots that relying parties may still trust alone. */
function crossSigners(records: readonly AuthorityRecord[], now: Date): AuthorityRecord[] {
  const [prepared] = select(records, 'issuing', 'prepared');
  if (prepared !== undefined) throw new SignetError('authority-state-conflict', `issuer ${prepared.id} is prepared; activate it before the root is rolled over`);
  return select(records, 'root').filter((root) => root.state !== 'prepared' && root.notAfter > now && root.revokedAt === null);
}
