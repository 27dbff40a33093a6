import { timingSafeEqual } from 'node:crypto';
import { assertActive } from '../../agents/agent.ts';
import { SignetError } from '../../core/errors.ts';
import type { JoinTokenEvidence } from '../../db/join-tokens.ts';
import type { EnrollmentContext, EnrollmentEvidence, EnrollmentRequest } from '../enrollment-method.ts';
import { parseJoinToken } from './secret.ts';
import { sourceAllowed } from './source.ts';

/**
 * Judges a join token: who holds its secret, from the right place and with the right key, enrolls its agent once. A used token, shown again with the
 * key it was used with, leads to the stored answer within the replay window, the token's own expiry or not: the answer was lost. The commit spends it.
 * @throws SignetError `join-token-unknown`, `join-token-wrong-agent`, `join-token-wrong-network`, `join-token-wrong-key`, `join-token-used`,
 * `join-token-expired`, and what `assertActive` throws
 */
export async function verifyJoinToken(ctx: EnrollmentContext, request: EnrollmentRequest): Promise<EnrollmentEvidence> {
  const { source, keyHash, agentId, now } = request;
  const shown = parseJoinToken(request.credential);
  if (!shown) throw unknownToken();
  const found = await ctx.joinTokens.submit(shown.id);
  // Nothing is said of a token to somebody who has only its id.
  if (!found || !timingSafeEqual(found.token.secretHash, shown.secretHash)) throw unknownToken();

  const { token, agent } = found;
  if (agentId !== undefined && agentId !== token.agentId) throw new SignetError('join-token-wrong-agent', `the join token is not for agent ${agentId}`);
  if (!sourceAllowed(source, token.sourceCidrs)) throw new SignetError('join-token-wrong-network', `the join token is not for use from ${source}`);
  if (token.boundKeyHash && !token.boundKeyHash.equals(keyHash)) {
    throw new SignetError('join-token-wrong-key', 'the join token is bound to another key than that of the CSR');
  }
  if (token.usedAt) return { tokenId: token.id, replay: { serial: serialToReplay(token, keyHash, now, ctx.config.replayWindowSeconds) } };
  if (now >= token.expiresAt) throw new SignetError('join-token-expired', `the join token expired at ${token.expiresAt.toISOString()}; ask for a new one`);
  assertActive(agent);
  return { tokenId: token.id, agent };
}

function serialToReplay({ usedAt, usedKeyHash, usedSerial }: JoinTokenEvidence, keyHash: Buffer, now: Date, windowSeconds: number): Buffer {
  const inTime = usedAt !== null && now.getTime() <= usedAt.getTime() + windowSeconds * 1000;
  if (!inTime || !usedSerial || !usedKeyHash?.equals(keyHash)) throw new SignetError('join-token-used', 'the join token has been used; ask for a new one');
  return usedSerial;
}

const unknownToken = () => new SignetError('join-token-unknown', 'there is no such join token: it was mistyped, or used or expired long ago');
