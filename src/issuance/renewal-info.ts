import type { Context } from '../context.ts';
import type { Origin } from '../audit/events.ts';
import { steersOf } from '../db/renewal-steers.ts';
import { DEFAULT_RENEWAL, renewalWindow, steeredWindow } from '../profiles/apply.ts';
import { serialHex } from '../x509/serial.ts';
import { authenticateClient } from './client-certificate.ts';

/** When to renew one certificate. */
export interface RenewalInfo {
  /** Lower-case hexadecimal. */
  serial: string;
  window: { start: Date; end: Date };
  /** An operator moved the window; why, for people. */
  steered: { explanationUrl: string | null } | undefined;
  askAgainSeconds: number;
}

/** A certificate is asked about so many times in its life. */
const ASKS_IN_A_LIFE = 12;
const ASK_AGAIN_SECONDS = { min: 10, max: 3_600 } as const;

/**
 * When the certificate that is shown over mutual TLS should be renewed (RFC 9773): as its profile says, or as an operator moved it.
 * @throws SignetError client-certificate-*, agent-*, instance-*, issuance-stopped
 */
export async function renewalInfo(ctx: Context, origin: Origin, peerCertificate: Buffer | undefined, now: Date): Promise<RenewalInfo> {
  const client = await authenticateClient(ctx, origin, peerCertificate, now, 'renewal');
  const { issuedAt, notAfter } = client;
  const serial = serialHex(client.serial);
  const usual = renewalWindow(ctx.profiles.get(client.profile) ?? DEFAULT_RENEWAL, issuedAt, notAfter);
  const moved = (await steersOf(ctx.db, { ...client, serial }, now))
    .map((steer) => ({ window: steeredWindow(steer, client.serial), explanationUrl: steer.explanationUrl }))
    .toSorted((a, b) => a.window.start.getTime() - b.window.start.getTime())[0];
  const lifeSeconds = (notAfter.getTime() - issuedAt.getTime()) / 1000;
  const askAgainSeconds = Math.round(Math.min(Math.max(lifeSeconds / ASKS_IN_A_LIFE, ASK_AGAIN_SECONDS.min), ASK_AGAIN_SECONDS.max));
  if (!moved || moved.window.start >= usual.start) return { serial, window: usual, steered: undefined, askAgainSeconds };
  return { serial, window: moved.window, steered: { explanationUrl: moved.explanationUrl }, askAgainSeconds };
}
