import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { findCertificate, findIdempotentIssuance } from '../db/commit.ts';
import { findIssuanceEvent } from '../db/logged-events.ts';
import { leafHash } from '../verify/log/merkle.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { spiffeIdOf, type IssuedCertificate } from './issue-certificate.ts';
import { refusal } from './refusal.ts';

/**
 * The stored answer of an issuance whose answer was lost: handed out again only while agent, instance and certificate are good.
 * @throws SignetError agent-*, instance-*, client-certificate-revoked, client-certificate-held, client-certificate-expired
 */
export async function replayIssuance(ctx: Pick<Context, 'db'>, serial: Uint8Array, now: Date): Promise<IssuedCertificate> {
  const stored = await findCertificate(ctx.db, serial);
  if (!stored) throw new SignetError('certificate-not-found', 'the certificate is no longer stored');
  if (stored.agentState === 'suspended') throw refusal('agent-suspended');
  if (stored.agentState !== 'active') throw refusal('agent-retired');
  if (stored.instanceState === 'quarantined') throw refusal('instance-quarantined');
  if (stored.instanceState !== 'active') throw refusal('instance-revoked');
  if (stored.revokedAt) throw refusal('client-certificate-revoked');
  if (stored.heldAt) throw refusal('client-certificate-held');
  if (stored.notAfter <= now) throw new SignetError('client-certificate-expired', 'the certificate of that answer has expired meanwhile');
  const event = await findIssuanceEvent(ctx.db, stored.serial);
  return {
    der: stored.der,
    serial: stored.serial,
    issuerId: stored.issuerId,
    agentId: stored.agentId,
    instanceId: stored.instanceId,
    profile: stored.profile,
    spiffeId: spiffeIdOf(parseCertificate(stored.der)),
    generation: stored.generation,
    notBefore: stored.notBefore,
    notAfter: stored.notAfter,
    issuedAt: stored.issuedAt,
    replayed: true,
    receipt: event ? { eventId: event.id, leafHash: leafHash(event.event) } : null,
  };
}

/** An Idempotency-Key of an issuing request, scoped to its caller and route. */
export interface IssuanceIdempotency {
  caller: string;
  route: string;
  key: string;
  bodyHash: Buffer;
  expiresAt: Date;
}

/**
 * Serial of the certificate that a request with this key got, or undefined when the key is new.
 * @throws SignetError idempotency-key-reused when the key came with another request
 */
export async function replayedSerial(ctx: Pick<Context, 'db'>, idempotency: IssuanceIdempotency | null, now: Date): Promise<Uint8Array | undefined> {
  if (idempotency === null) return undefined;
  const record = await findIdempotentIssuance(ctx.db, idempotency, now);
  if (!record) return undefined;
  if (!record.bodyHash.equals(idempotency.bodyHash)) {
    throw new SignetError('idempotency-key-reused', 'this Idempotency-Key was used with another request; use a new key for a new request');
  }
  return record.serial;
}
