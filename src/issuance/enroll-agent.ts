import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import type { Context } from '../context.ts';
import type { Origin } from '../audit/events.ts';
import type { AgentRecord } from '../agents/agent.ts';
import { enrollmentMethods } from '../enrollment/index.ts';
import type { Profile } from '../profiles/profile.ts';
import { parseCsr } from '../x509/csr.ts';
import { issueCertificate, type IssuedCertificate } from './issue-certificate.ts';
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

/**
 * Enrolls one running copy of an agent: evidence → certificate, and with it an instance. The same token with the same CSR key gives the same
 * certificate again within the replay window, so that a lost answer costs nothing.
 * @throws SignetError join-token-*, csr-*, key-*, agent-*, names-not-granted, ttl-not-granted
 */
export async function enrollAgent(ctx: Context, origin: Origin, request: EnrollRequest): Promise<IssuedCertificate> {
  const { now } = request;
  const csr = parseCsr(request.csr, { maxBytes: ctx.config.csrMaxBytes, maxNames: ctx.config.maxNames });
  const evidence = await enrollmentMethods['join-token'].verify(ctx, {
    credential: request.joinToken,
    source: request.source,
    keyHash: csr.publicKey.keyHash,
    agentId: request.agentId,
    now,
  });
  await ctx.barrier('issue:verified');

  const enrollee: Origin = { ...origin, actor: { kind: 'join-token', id: evidence.tokenId } };
  const idempotency = request.idempotency && { ...request.idempotency, caller: `join-token:${evidence.tokenId}` };
  const replayed = await replayedSerial(ctx, idempotency, now);
  if (replayed) return replayIssuance(ctx, replayed, now);
  if ('replay' in evidence) return replayIssuance(ctx, evidence.replay.serial, now);

  const { agent } = evidence;
  try {
    const issued = await issueCertificate(ctx, enrollee, {
      kind: 'enroll',
      registration: { agentId: agent.id, agentName: agent.name, dnsNames: agent.dnsNames, ttlCapSeconds: agent.ttlCapSeconds ?? undefined },
      profile: profileOf(ctx, agent, request.profile),
      csr,
      asked: { ttlSeconds: request.ttlSeconds, dnsNames: request.dnsNames },
      instanceId: ulid(now, ctx.random),
      generation: 1,
      tokenId: evidence.tokenId,
      oldSerial: null,
      idempotency,
      now,
    });
    ctx.metrics.issued.inc({ profile: issued.profile });
    return issued;
  } catch (error) {
    if (!(error instanceof SignetError) || error.code !== 'join-token-used') throw error;
    // Another use of the token won the race. With the same key it was the same agent asking twice: it gets the winner's certificate.
    const again = await enrollmentMethods['join-token'].verify(ctx, {
      credential: request.joinToken, source: request.source, keyHash: csr.publicKey.keyHash, agentId: request.agentId, now,
    });
    if ('replay' in again) return replayIssuance(ctx, again.replay.serial, now);
    throw error;
  }
}

/** The registration's profile as it is now. @throws SignetError profile-not-found */
export function profileOf(ctx: Pick<Context, 'profiles'>, agent: Pick<AgentRecord, 'profile'>, asked?: string): Profile {
  if (asked !== undefined && asked !== agent.profile) {
    throw new SignetError('profile-not-found', `the agent is registered for profile ${agent.profile}, not ${asked}`);
  }
  const profile = ctx.profiles.get(agent.profile);
  if (!profile) throw new SignetError('profile-not-found', `profile ${agent.profile} of the registration is not configured; known: ${ctx.profiles.names().join(', ')}`);
  return profile;
}
