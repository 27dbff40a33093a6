import { createHash } from 'node:crypto';
import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { findInstance } from '../db/instances.ts';
import type { PresentedCertificate } from '../db/presented.ts';
import type { Origin } from '../audit/events.ts';
import { assertNotStopped } from '../agents/agent.ts';
import { quarantineInstance } from '../agents/instances.ts';
import { verifyChain } from '../verify/chain.ts';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { refusal } from './refusal.ts';

/** A caller that proved, in the TLS handshake, a key we certified; with what is stored of it at this request. */
export type ClientIdentity = PresentedCertificate;

/** What the certificate may be used for in this request: renewing may come after expiry, within the profile's grace. */
export type ClientPurpose = 'renewal' | 'request';
/** A renewal, with what looks at that of a quarantined instance before it is refused. */
export interface RenewalUse {
  ofQuarantined: (client: ClientIdentity) => Promise<void>;
}

/**
 * Judges a TLS client certificate by our own chain check and our own records, on every request (DESIGN §4: Node's authorizationError cannot
 * tell ours from a forgery once it has expired, and a resumed session outlives its certificate). Records the presentation durably.
 * @throws SignetError client-certificate-*, agent-*, instance-*, issuance-stopped
 */
export async function authenticateClient(ctx: Context, origin: Origin, der: Buffer | undefined, now: Date, use: ClientPurpose | RenewalUse): Promise<ClientIdentity> {
  const purpose = typeof use === 'string' ? use : 'renewal';
  if (der === undefined || der.length === 0) {
    throw new SignetError('client-certificate-required', 'this door wants the client certificate that Signet issued to the agent');
  }
  const certificate = parseClientCertificate(der);
  assertIssuedByUs(ctx, certificate, now);

  const client = await ctx.presentations.submit({ serial: certificate.serial, fingerprint: createHash('sha256').update(der).digest(), at: now });
  if (client === undefined) throw untrusted('it is not recorded as issued here');

  if (client.displaced) await refuseCopiedKey(ctx, origin, client, now);
  if (client.revokedAt) throw refusal('client-certificate-revoked');
  assertUnexpired(ctx, client, now, purpose);
  if (client.instanceState === 'quarantined') {
    if (typeof use !== 'string') await use.ofQuarantined(client);
    throw refusal('instance-quarantined');
  }
  if (client.instanceState !== 'active') throw refusal('instance-revoked');
  if (client.agentState === 'suspended') throw refusal('agent-suspended');
  if (client.agentState !== 'active') throw refusal('agent-retired');
  if (client.heldAt) {
    // Whoever wants to renew learns that it is not about them alone.
    if (purpose === 'renewal') await assertNotStopped(ctx.db);
    throw refusal('client-certificate-held');
  }
  return client;
}

const untrusted = (why: string) => new SignetError('client-certificate-untrusted', `the client certificate is not one of ours: ${why}`);

function parseClientCertificate(der: Buffer): Certificate {
  try {
    return parseCertificate(der);
  } catch {
    throw untrusted('it is not strict DER');
  }
}

/**
 * The step from the leaf to one of our issuers, with expiry left aside: whether it has expired is only worth saying of a certificate that is ours. Our
 * issuers themselves were verified when they were made, and are the anchors here.
 */
function assertIssuedByUs(ctx: Context, certificate: Certificate, now: Date): void {
  const issuers = ctx.authorities.snapshot().issuing.filter(({ revokedAt }) => revokedAt === null).map((issuer) => issuer.certificate);
  const result = verifyChain(certificate, [], issuers, now, { ignoreLeafExpiry: true, purpose: 'clientAuth' });
  if (!('fault' in result)) return;
  // Said only when all else is right: another replica's clock may be ahead of ours.
  if (result.fault === 'not-yet-valid' && certificate.notBefore.getTime() <= now.getTime() + ctx.config.clockSkewSeconds * 1000) return;
  if (result.fault === 'issuer-expired') throw new SignetError('client-certificate-expired', 'the issuer of the certificate has expired, and the certificate with it; enroll again with a new join token');
  throw untrusted(result.fault);
}

function assertUnexpired(ctx: Context, client: PresentedCertificate, now: Date, purpose: ClientPurpose): void {
  if (now < client.notAfter) return;
  const graceSeconds = purpose === 'renewal' ? (ctx.profiles.get(client.agentProfile)?.renewAfterExpirySeconds ?? 0) : 0;
  if (now.getTime() < client.notAfter.getTime() + graceSeconds * 1000) return;
  throw new SignetError('client-certificate-expired', `the certificate expired at ${client.notAfter.toISOString()}; enroll again with a new join token`);
}

/** Renewal rule (c): two holders of one key were seen. The instance stops until an operator has looked. */
export async function refuseCopiedKey(ctx: Context, origin: Origin, client: PresentedCertificate, now: Date): Promise<never> {
  if (client.instanceState === 'active' || (await isQuarantinedByKillsOnly(ctx, client))) {
    const actor = { kind: 'agent', id: client.agentId } as const;
    const credential = { kind: 'certificate', serial: client.serial.toString('hex') } as const;
    await quarantineInstance(ctx, { ...origin, actor, credential }, client.instanceId, { reason: 'copied-key', serial: client.serial, now });
  }
  throw refusal('instance-quarantined');
}

/** Then the copied key is no cause of it yet, and the resume of the kill would end it. */
async function isQuarantinedByKillsOnly({ db }: Pick<Context, 'db'>, { instanceState, instanceId }: PresentedCertificate): Promise<boolean> {
  return instanceState === 'quarantined' && (await findInstance(db, instanceId))?.quarantineId === null;
}
