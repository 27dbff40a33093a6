import { assertActive, agentNotFound, enterGate, type AgentContext } from '../../agents/agent.ts';
import type { CreateJoinTokenBody } from '../../api/join-tokens.ts';
import { appendAudit } from '../../audit/append.ts';
import type { Origin } from '../../audit/events.ts';
import { parseBlock } from '../../core/addresses.ts';
import { SignetError } from '../../core/errors.ts';
import { lockAgent } from '../../db/agents.ts';
import type { Tx } from '../../db/client.ts';
import { insertJoinToken } from '../../db/join-tokens.ts';
import { makeJoinToken } from './secret.ts';

/** A new join token with its secret: the one time it is seen. */
export interface CreatedJoinToken {
  id: string;
  agentId: string;
  token: string;
  expiresAt: Date;
}

/**
 * Makes a single-use join token for an active agent. Runs in the caller's transaction (http/idempotency.ts), audit event last.
 * @throws SignetError `agent-not-found`, `agent-not-active`, `agent-suspended`, `agent-retired`, `owner-suspended`, `ttl-not-granted`, `invalid-request`, `issuance-stopped`
 */
export async function createJoinToken(
  ctx: Pick<AgentContext, 'config' | 'random'>,
  tx: Tx,
  origin: Origin,
  request: CreateJoinTokenBody & { agentId: string },
  now: Date,
): Promise<CreatedJoinToken> {
  const { agentId, sourceCidrs = [], boundKeyHash, ttlSeconds = ctx.config.joinTokenTtlSeconds } = request;
  const { joinTokenMaxTtlSeconds } = ctx.config;
  if (ttlSeconds > joinTokenMaxTtlSeconds) throw new SignetError('ttl-not-granted', `a join token lives at most ${joinTokenMaxTtlSeconds} s, ${ttlSeconds} s were asked for`);
  const notABlock = sourceCidrs.findIndex((block) => parseBlock(block) === undefined);
  if (notABlock >= 0) {
    const fault = { path: `/sourceCidrs/${notABlock}`, message: 'must be an IP address or a CIDR block' };
    throw new SignetError('invalid-request', `${fault.path}: ${fault.message}`, { fields: [fault] });
  }

  await enterGate(tx);
  const agent = await lockAgent(tx, agentId, 'share');
  if (!agent) throw agentNotFound(agentId);
  assertActive(agent);
  const { id, token, secretHash } = makeJoinToken(now, ctx.random);
  const expiresAt = new Date(now.getTime() + ttlSeconds * 1000);
  await insertJoinToken(tx, {
    id,
    agentId,
    secretHash,
    sourceCidrs,
    boundKeyHash: boundKeyHash === undefined ? null : Buffer.from(boundKeyHash, 'hex'),
    createdBy: `${origin.actor.kind}:${origin.actor.id}`,
    createdAt: now,
    expiresAt,
  });
  await appendAudit(ctx, tx, origin, now, {
    kind: 'join-token.created',
    outcome: 'success',
    agentId,
    target: id,
    detail: { expiresAt: expiresAt.toISOString(), sourceCidrs, ...(boundKeyHash === undefined ? {} : { boundKeyHash }) },
  });
  return { id, agentId, token, expiresAt };
}
