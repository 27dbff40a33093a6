import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import type { PinHolder } from '../db/relying-parties.ts';
import { fingerprintOf, namesOurIssuer } from './pin.ts';

export type { PinHolder };

/**
 * The relying party that pinned a TLS client certificate, judged on this very request; undefined when nobody has. The handshake proved the key.
 * @throws SignetError `client-certificate-expired`, `client-certificate-untrusted` before its time, `relying-party-disabled`
 */
export async function authenticatePinned(ctx: Pick<Context, 'authorities' | 'pinnedCertificates' | 'config'>, der: Buffer, now: Date): Promise<PinHolder | undefined> {
  if (namesOurIssuer(ctx, der)) return undefined;
  const holder = await ctx.pinnedCertificates.find(fingerprintOf(der).toString('hex'));
  if (!holder) return undefined;
  if (holder.notAfter <= now) throw new SignetError('client-certificate-expired', `the certificate expired at ${holder.notAfter.toISOString()}; have another one pinned to the relying party`);
  if (holder.notBefore.getTime() > now.getTime() + ctx.config.clockSkewSeconds * 1000) {
    throw new SignetError('client-certificate-untrusted', `the client certificate is not valid before ${holder.notBefore.toISOString()}`);
  }
  assertEnabled(holder);
  return holder;
}

/** @throws SignetError `relying-party-disabled` */
export function assertEnabled({ state }: Pick<PinHolder, 'state'>): void {
  if (state === 'disabled') throw new SignetError('relying-party-disabled', 'the relying party that this credential belongs to is disabled');
}
