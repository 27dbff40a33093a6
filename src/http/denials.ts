import { createHash } from 'node:crypto';
import { ERROR_TABLE } from '../api/error-codes.ts';
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import type { SignetError } from '../core/errors.ts';
import { inTransaction } from '../db/client.ts';
import { whoHolds, type ShownBy } from '../db/views/shown-certificates.ts';
import { parseCertificate } from '../x509/certificate.ts';

/** Refusals recorded in one minute by one process: what comes above is counted, and told by the next one recorded. Bounds what a stranger can write. */
const RECORDED_PER_MINUTE = 600;
const MINUTE_MS = 60_000;

export interface Denials {
  /** Records a refused credential or permission in the audit log, in the background. Other errors are not recorded. `shown`: DER of the client certificate. */
  note(error: SignetError, origin: Origin, operation: string, now: Date, shown?: Buffer): void;
  /** Resolves when all that was noted is written. */
  settled(): Promise<void>;
}

/** Codes of requests without any credential: whoever knocks without one is not worth a record. */
const UNCREDENTIALED: readonly string[] = ['authentication-required', 'client-certificate-required'];

/** Where refusals go, and what is known of whoever showed a certificate. */
export interface DenialsLog {
  write(origin: Origin, at: Date, event: AuditEvent): Promise<void>;
  whoHolds(der: Buffer): Promise<ShownBy | undefined>;
}

/** Each event in a transaction of its own. */
export const toAuditLog = (ctx: Pick<Context, 'db' | 'random'>): DenialsLog => ({
  write: (origin, at, event) => inTransaction(ctx.db, (tx) => appendAudit(ctx, tx, origin, at, event)),
  whoHolds: (der) => whoHolds(ctx.db, { serial: serialOf(der), fingerprint: createHash('sha256').update(der).digest() }),
});

/** The serial of a certificate, empty when it is not strict DER: then it is none of ours. */
function serialOf(der: Buffer): Uint8Array {
  try {
    return parseCertificate(der).serial;
  } catch {
    return new Uint8Array();
  }
}

export function createDenials(ctx: Pick<Context, 'clock' | 'log'>, to: DenialsLog): Denials {
  const writing = new Set<Promise<void>>();
  let minuteStartMs = -Infinity;
  let recorded = 0;
  let suppressed = 0;

  function isAllowance(): boolean {
    const nowMs = ctx.clock.monotonicMs();
    if (nowMs - minuteStartMs >= MINUTE_MS) {
      minuteStartMs = nowMs;
      recorded = 0;
    }
    return recorded++ < RECORDED_PER_MINUTE;
  }

  async function record(error: SignetError, origin: Origin, operation: string, now: Date, shown?: Buffer): Promise<void> {
    const certificate = shown === undefined ? {} : { fingerprint: createHash('sha256').update(shown).digest() };
    const detail = { code: error.code, ...(suppressed > 0 ? { suppressed } : {}) };
    suppressed = 0;
    try {
      // The handshake proved the key, and whose certificate it is, byte for byte, our records say: good or not, that is who asked.
      const holder = shown && (await to.whoHolds(shown));
      const event = { kind: 'request.denied', outcome: 'failure', target: operation, ...certificate, detail } as const;
      if (!holder) await to.write(origin, now, event);
      else if ('relyingPartyId' in holder) await to.write({ ...origin, actor: { kind: 'relying-party', id: holder.relyingPartyId } }, now, event);
      else await to.write({ ...origin, actor: { kind: 'agent', id: holder.agentId } }, now, { ...event, ...holder });
    } catch (fault) {
      // Neither this one nor those that it was to tell of are recorded yet.
      suppressed += 1 + (detail.suppressed ?? 0);
      ctx.log.error({ err: fault, ...detail, operation, requestId: origin.requestId }, 'could not record a refused request');
    }
  }

  return {
    note(error, origin, operation, now, shown) {
      const { status } = ERROR_TABLE[error.code];
      if ((status !== 401 && status !== 403) || UNCREDENTIALED.includes(error.code)) return;
      if (!isAllowance()) {
        suppressed++;
        return;
      }
      const pending = record(error, origin, operation, now, shown).finally(() => writing.delete(pending));
      writing.add(pending);
    },
    async settled() {
      await Promise.all(writing);
    },
  };
}
