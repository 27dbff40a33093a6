import { SignetError } from '../core/errors.ts';
import { serialHex } from '../x509/serial.ts';
import { entityTag } from './entity-tag.ts';
import { reasonName, type ReasonName } from './reasons.ts';
import type { StatusReader, CertificateState } from './status-reader.ts';

/** What a relying party is told of one serial. Of a serial we never issued only `serial` and `status` are there. */
export interface CertificateStatus {
  /** 40 hexadecimal digits, lower case. */
  serial: string;
  /** `expired` is said of what was not revoked before its end, and wins over a hold. */
  status: 'good' | 'held' | 'revoked' | 'expired' | 'unknown';
  /** CRLReason of a revoked or held certificate. */
  reason?: ReasonName;
  /** When it was revoked, or put on hold. */
  revokedAt?: Date;
  agentId?: string;
  instanceId?: string;
  notAfter?: Date;
}

/** Readings in a row that a change may outdate before the question is put off. */
const MAX_READINGS = 4;

/**
 * Status of serials at `now`, by lower-case hexadecimal serial. An acknowledged revocation is never reported good (DESIGN invariant 13).
 * @throws SignetError `overloaded`, `database-unavailable`
 */
export async function statusOf(ctx: { statuses: StatusReader }, serials: readonly Uint8Array[], now: Date): Promise<Map<string, CertificateStatus>> {
  for (let reading = 0; reading < MAX_READINGS; reading++) {
    const view = await ctx.statuses.read(serials);
    if (!view.isCurrent()) continue;
    return new Map(
      serials.map((serial, index) => {
        const hex = serialHex(serial);
        return [hex, describe(hex, view.at(index), now)];
      }),
    );
  }
  throw new SignetError('overloaded', 'These certificates change faster than they can be read.', { retryAfterSeconds: 1 });
}

/** Entity tag over statuses in the order given: the same as long as nothing that is said of them changes. */
export const statusEntityTag = (statuses: readonly CertificateStatus[]): string => entityTag(JSON.stringify(statuses));

function describe(serial: string, row: CertificateState | undefined, now: Date): CertificateStatus {
  if (!row) return { serial, status: 'unknown' };
  const changedAt = row.revokedAt ?? row.heldAt;
  const { agentId, instanceId, notAfter } = row;
  return {
    serial,
    status: statusAt(row, now),
    ...(changedAt ? { reason: row.revokedAt ? reasonName(row.reason ?? 0) : 'certificateHold', revokedAt: changedAt } : {}),
    ...(agentId === null ? {} : { agentId }),
    ...(instanceId === null ? {} : { instanceId }),
    notAfter,
  };
}

function statusAt(row: CertificateState, now: Date): CertificateStatus['status'] {
  if (row.revokedAt) return 'revoked';
  if (row.notAfter.getTime() < now.getTime()) return 'expired';
  return row.heldAt ? 'held' : 'good';
}
