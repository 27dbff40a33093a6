import type { AgentRecord } from '../agents/agent.ts';
import type { Context } from '../context.ts';

/** What a method may use: it judges evidence and changes nothing. */
export type EnrollmentContext = Pick<Context, 'config' | 'joinTokens'>;

/** Evidence as it arrived. */
export interface EnrollmentRequest {
  /** What the method wants to see, for instance a join token. */
  credential: string;
  /** Source address of the connection. */
  source: string;
  /** SHA-256 of the SubjectPublicKeyInfo of the CSR. */
  keyHash: Buffer;
  /** The agent the caller takes itself for. */
  agentId: string | undefined;
  now: Date;
}

/**
 * What the evidence shows: which agent is enrolling, or that this very enrollment has been answered before (same evidence, same key), so that
 * the stored answer may be given again.
 */
export type EnrollmentEvidence = { tokenId: string; agent: AgentRecord } | { tokenId: string; replay: { serial: Buffer } };

/**
 * One way for an agent to prove itself [plug-in kind]. `verify` only reads: whether single-use evidence is still unspent is decided again, and the
 * evidence spent, by the commit of the certificate. It throws SignetErrors with codes of its own for bad evidence, and `agent-*` or
 * `owner-suspended` for an agent that may not enroll.
 */
export interface EnrollmentMethod {
  /** The id under which uses of a credential are recorded, or undefined for one that has no such form. Says nothing of its being good. */
  idOf(credential: string): string | undefined;
  verify(ctx: EnrollmentContext, request: EnrollmentRequest): Promise<EnrollmentEvidence>;
}
