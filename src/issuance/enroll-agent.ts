import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import type { Context } from '../context.ts';
import type { Origin } from '../audit/events.ts';
import type { AgentRecord } from '../agents/agent.ts';
import { enrollmentMethods, type EnrollmentEvidence } from '../enrollment/index.ts';
import type { Profile } from '../profiles/profile.ts';
import { parseCsr, type CertificateRequest } from '../x509/csr.ts';
import { issueCertificate, type IssuedCertificate } from './issue-certificate.ts';
import { RegistrationChanged } from './refusal.ts';
import { replayedSerial, replayIssuance, type IssuanceIdempotency } from './replay.ts';

export interface EnrollRequest {
  joinToken: string;
  /** CSR, DER. */
  csr: Uint8Array;
  /** The agent the caller thinks it is; refused when the token is another's. */
  agentId: string | undefined;
  /** Must be the registration's profile when given. */
  profile: string | undefined;
  ttlSeconds: number | undefined;
  dnsNames: readonly string[] | undefined;
  source: string;
  idempotency: Omit<IssuanceIdempotency, 'caller'> | null;
  now: Date;
}

/** How often an enrollment that lost a race looks again at how things stand. */
const MAX_ATTEMPTS = 3;

/**
 * Enrolls one running copy of an agent: evidence → certificate, and with it an instance. The same token with the same CSR key gives the same
 * certificate again within the replay window, so that a lost answer costs nothing.
 * @throws SignetError join-token-*, csr-*, key-*, agent-*, names-not-granted, ttl-not-granted, idempotency-key-reused, rate-limited
 */
export async function enrollAgent(ctx: Context, origin: Origin, request: EnrollRequest): Promise<IssuedCertificate> {
  ctx.limits.joinToken(request.joinToken);
  const csr = parseCsr(request.csr, { maxBytes: ctx.config.csrMaxBytes, maxNames: ctx.config.maxNames });
  for (let attempt = 1; ; attempt++) {
    try {
      return await enrollOnce(ctx, origin, request, csr, attempt === 1);
    } catch (error) {
      // Another use of the token won: with the same key it was the same agent asking twice, and gets the winner's certificate. Or the registration was
      // changed meanwhile: policy decides again on what it says now.
      const lostRace = error instanceof RegistrationChanged || (error instanceof LostToken && attempt === 1);
      if (!lostRace || attempt >= MAX_ATTEMPTS) throw error;
    }
  }
}

/** The commit found the token spent, which the look before had found open. */
class LostToken extends SignetError {}

async function enrollOnce(ctx: Context, origin: Origin, request: EnrollRequest, csr: CertificateRequest, isFirst: boolean): Promise<IssuedCertificate> {
  const { now } = request;
  const evidence = await judge(ctx, request, csr);
  await ctx.barrier('issue:verified');

  const idempotency = scoped(request, evidence.tokenId);
  const replayed = await replayedSerial(ctx, idempotency, now);
  if (replayed) return replayIssuance(ctx, replayed, now);
  if ('replay' in evidence) return replayIssuance(ctx, evidence.replay.serial, now);

  const { agent, tokenId } = evidence;
  if (isFirst) ctx.limits.agent(agent.id);
  try {
    const issued = await issueCertificate(ctx, { ...origin, actor: { kind: 'join-token', id: tokenId }, credential: { kind: 'join-token', id: tokenId } }, {
      kind: 'enroll',
      registration: { agentId: agent.id, version: agent.version, agentName: agent.name, dnsNames: agent.dnsNames, ttlCapSeconds: agent.ttlCapSeconds ?? undefined },
      profile: profileOf(ctx, agent, request.profile),
      csr,
      asked: { ttlSeconds: request.ttlSeconds, dnsNames: request.dnsNames },
      instanceId: ulid(now, ctx.random),
      generation: 1,
      tokenId,
      oldSerial: null,
      idempotency,
      now,
    });
    ctx.metrics.issued.inc({ profile: issued.profile });
    return issued;
  } catch (error) {
    throw error instanceof SignetError && error.code === 'join-token-used' ? new LostToken(error.code, error.message) : error;
  }
}

/** What the join token shows. A token that was used long ago still answers for the Idempotency-Key it was used under. */
async function judge(ctx: Context, request: EnrollRequest, csr: CertificateRequest): Promise<EnrollmentEvidence> {
  const { joinToken: credential, source, agentId, now } = request;
  const method = enrollmentMethods['join-token'];
  try {
    return await method.verify(ctx, { credential, source, keyHash: csr.publicKey.keyHash, agentId, now });
  } catch (error) {
    // Said only to who holds the token's secret.
    const tokenId = error instanceof SignetError && error.code === 'join-token-used' ? method.idOf(credential) : undefined;
    const serial = tokenId === undefined ? undefined : await replayedSerial(ctx, scoped(request, tokenId), now);
    if (tokenId === undefined || serial === undefined) throw error;
    return { tokenId, replay: { serial: Buffer.from(serial) } };
  }
}

const scoped = ({ idempotency }: EnrollRequest, tokenId: string): IssuanceIdempotency | null => idempotency && { ...idempotency, caller: `join-token:${tokenId}` };

/** The registration's profile as it is now. @throws SignetError profile-not-found */
export function profileOf(ctx: Pick<Context, 'profiles'>, agent: Pick<AgentRecord, 'profile'>, asked?: string): Profile {
  if (asked !== undefined && asked !== agent.profile) {
    throw new SignetError('profile-not-found', `the agent is registered for profile ${agent.profile}, not ${asked}`);
  }
  const profile = ctx.profiles.get(agent.profile);
  if (!profile) throw new SignetError('profile-not-found', `profile ${agent.profile} of the registration is not configured; known: ${ctx.profiles.names().join(', ')}`);
  return profile;
}
