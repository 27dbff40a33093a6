import { SignetError, type ErrorCode } from '../core/errors.ts';
import type { Context } from '../context.ts';
import type { Origin } from '../audit/events.ts';
import { findCertificate } from '../db/commit.ts';
import { parseCsr, verifyCsr, type CertificateRequest } from '../x509/csr.ts';
import { authenticateClient, refuseCopiedKey, type ClientIdentity } from './client-certificate.ts';
import { displaceSuccessor } from './displace-successor.ts';
import { profileOf } from './enroll-agent.ts';
import { assertIssuable, issueCertificate, type IssuedCertificate, type IssueRequest } from './issue-certificate.ts';
import { replayedSerial, replayIssuance, type IssuanceIdempotency } from './replay.ts';
import { RegistrationChanged, refusal } from './refusal.ts';

export interface RenewRequest {
  /** DER of the certificate shown in the TLS handshake. */
  peerCertificate: Buffer | undefined;
  /** CSR, DER, with a fresh key. */
  csr: Uint8Array;
  ttlSeconds: number | undefined;
  dnsNames: readonly string[] | undefined;
  idempotency: Omit<IssuanceIdempotency, 'caller'> | null;
  now: Date;
}

/** How often a renewal that lost a race looks again at who won it. */
const MAX_ATTEMPTS = 3;
/** What the commit says of a renewal that came second: the tip is another one, or the winner certified the same key. */
const LOST_RACE: readonly ErrorCode[] = ['certificate-superseded', 'key-in-use', 'key-not-fresh'];

/**
 * Renews over mutual TLS: a decision made anew from status, owner, profile, names and policy of now. A superseded certificate falls under the
 * rules (a), (b), (c) of DESIGN §2.
 * @throws SignetError client-certificate-*, agent-*, instance-*, csr-*, key-*, rate-limited
 */
export async function renewCertificate(ctx: Context, origin: Origin, request: RenewRequest): Promise<IssuedCertificate> {
  const { now } = request;
  for (let attempt = 1; ; attempt++) {
    const client = await authenticateClient(ctx, origin, request.peerCertificate, now, { ofQuarantined: (quarantined) => lookForCopiedKey(ctx, origin, quarantined, request) });
    if (attempt === 1) ctx.limits.agent(client.agentId);
    await ctx.barrier('renew:authenticated');
    const csr = parseCsr(request.csr, { maxBytes: ctx.config.csrMaxBytes, maxNames: ctx.config.maxNames });
    // Whoever gets a stored answer, or displaces another, must have proved the key first. The ordinary way proves it in step 1 of the cycle.
    if (client.supersededBy !== null || request.idempotency !== null) verifyCsr(csr);
    const caller: Origin = { ...origin, actor: { kind: 'agent', id: client.agentId }, credential: { kind: 'certificate', serial: client.serial.toString('hex') } };
    const idempotency = request.idempotency && { ...request.idempotency, caller: `instance:${client.instanceId}` };

    const wanted = () => renewalOf(ctx, { ...request, idempotency }, client, csr);
    const replayed = (await replayedSerial(ctx, idempotency, now)) ?? (await supersededRules(ctx, caller, client, { csr, now, wanted }));
    if (replayed) return replayIssuance(ctx, replayed, now);
    try {
      const issued = await issueCertificate(ctx, caller, wanted());
      ctx.metrics.renewed.inc({ profile: issued.profile });
      return issued;
    } catch (error) {
      if (error instanceof RegistrationChanged && attempt < MAX_ATTEMPTS) continue;
      // The tip moved between the look and the commit: another renewal of this certificate won, and the rules say what that means.
      const lostRace = error instanceof SignetError && LOST_RACE.includes(error.code);
      if (!lostRace || attempt >= MAX_ATTEMPTS || !(await tipMoved(ctx, origin, client, request))) throw error;
    }
  }
}

/**
 * The rules for a superseded certificate. Returns the serial of the answer to give again (a), returns nothing after making the presented certificate
 * the tip again (b), or quarantines the instance and refuses (c). `wanted`: what would be issued; throws what forbids it.
 */
async function supersededRules(ctx: Context, origin: Origin, client: ClientIdentity, asked: { csr: CertificateRequest; now: Date; wanted: () => IssueRequest }): Promise<Buffer | undefined> {
  const { csr, now, wanted } = asked;
  if (client.supersededBy === null) return undefined;
  const successor = await findCertificate(ctx.db, client.supersededBy);
  if (!successor) throw refusal('certificate-superseded');
  // (a) the key of the renewal that superseded it: the answer was lost.
  if (successor.keyHash.equals(csr.publicKey.keyHash)) return successor.serial;
  // (c) the successor has been used by someone: two holders of one key.
  if (successor.presentedAt !== null) return refuseCopiedKey(ctx, origin, client, now);
  // An operator revoked or held the successor: not ours to undo.
  if (successor.revokedAt !== null || successor.heldAt !== null) throw refusal('certificate-superseded');
  // (b) the successor was never used: whoever has it loses it, and says so by using it. But not for a request that would get nothing for it.
  if (client.ownerState !== 'active') throw refusal('owner-suspended');
  await assertIssuable(ctx, wanted());
  if (!(await displaceSuccessor(ctx, origin, client, successor, now))) return supersededRules(ctx, origin, client, asked);
  return undefined;
}

/** Rule (c) of an instance that is quarantined already: perhaps only by a kill, whose resume must not hide what was seen. */
async function lookForCopiedKey(ctx: Context, origin: Origin, client: ClientIdentity, request: Pick<RenewRequest, 'csr' | 'now'>): Promise<void> {
  if (client.supersededBy === null) return;
  const csr = parseCsr(request.csr, { maxBytes: ctx.config.csrMaxBytes, maxNames: ctx.config.maxNames });
  verifyCsr(csr);
  const successor = await findCertificate(ctx.db, client.supersededBy);
  if (successor && successor.presentedAt !== null && !successor.keyHash.equals(csr.publicKey.keyHash)) await refuseCopiedKey(ctx, origin, client, request.now);
}

/** What a renewal asks to be issued. @throws SignetError profile-not-found, key-not-fresh */
function renewalOf(
  ctx: Pick<Context, 'profiles'>,
  request: Omit<RenewRequest, 'idempotency'> & { idempotency: IssuanceIdempotency | null },
  client: ClientIdentity,
  csr: CertificateRequest,
): IssueRequest {
  const profile = profileOf(ctx, { profile: client.agentProfile });
  if (csr.publicKey.keyHash.equals(client.keyHash) && !profile.keyReuse) {
    throw new SignetError('key-not-fresh', 'a renewal needs a new key pair: this CSR has the key of the certificate it renews');
  }
  return {
    kind: 'renew',
    registration: { agentId: client.agentId, version: client.agentVersion, agentName: client.agentName, dnsNames: client.dnsNames, ttlCapSeconds: client.ttlCapSeconds ?? undefined },
    profile,
    csr,
    asked: { ttlSeconds: request.ttlSeconds, dnsNames: request.dnsNames },
    instanceId: client.instanceId,
    generation: client.generation + 1,
    tokenId: null,
    oldSerial: client.serial,
    idempotency: request.idempotency,
    now: request.now,
  };
}

async function tipMoved(ctx: Context, origin: Origin, before: ClientIdentity, request: RenewRequest): Promise<boolean> {
  const after = await authenticateClient(ctx, origin, request.peerCertificate, request.now, 'renewal');
  return !after.tipSerial.equals(before.tipSerial);
}
