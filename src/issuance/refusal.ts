import { SignetError } from '../core/errors.ts';
import type { CommitOutcome } from './commit-queue.ts';

type Refusal = Exclude<CommitOutcome, 'committed' | 'unknown' | 'agent-busy' | 'registration-changed'> | 'key-blocked' | 'key-not-fresh';

const DETAIL: Record<Refusal, string> = {
  'issuance-stopped': 'issuing is stopped for this agent, profile or issuer; an operator must lift the stop',
  'agent-not-found': 'there is no such agent',
  'agent-suspended': 'the agent is suspended; an operator must resume it',
  'agent-retired': 'the agent is retired for ever; register a new one',
  'agent-not-active': 'the agent is proposed; an operator must activate it',
  'owner-suspended': "the agent's owner is suspended",
  'issuer-unavailable': 'no issuer can sign at the moment; try again',
  'join-token-used': 'the join token has been used; ask for a new one',
  'instance-quarantined': 'the instance is quarantined because its key may have been copied; an operator must release or revoke it',
  'instance-revoked': 'the instance is revoked; enroll a new one',
  'certificate-superseded': 'the certificate has been superseded by a renewal',
  'client-certificate-revoked': 'the certificate is revoked',
  'client-certificate-held': 'the certificate is on hold',
  'key-in-use': 'the public key was certified before; make a new key pair and CSR',
  'key-not-fresh': 'the public key was certified before, for this agent; make a new key pair and CSR',
  'key-blocked': 'the public key belongs to a revoked certificate; make a new key pair and CSR',
  'idempotency-in-progress': 'a request with this Idempotency-Key is being answered; try again',
};

/** The error of a commit whose outcome could not be learned: the same request, sent again, gets the same certificate if it was stored. */
export const outcomeUnknown = (): SignetError =>
  new SignetError('database-unavailable', 'the database went away before it confirmed the certificate; send the same request again', { retryAfterSeconds: 2 });

/** The error that tells a caller what refused the certificate. */
export function refusal(verdict: Refusal): SignetError {
  const retry = verdict === 'issuer-unavailable' || verdict === 'idempotency-in-progress' ? { retryAfterSeconds: 1 } : {};
  return new SignetError(verdict, DETAIL[verdict], retry);
}

/** The registration was changed between policy's decision and the commit: decide again. What the caller sees only if that goes on and on. */
export class RegistrationChanged extends SignetError {
  constructor() {
    super('overloaded', 'the registration of the agent is being changed; try again', { retryAfterSeconds: 1 });
  }
}
