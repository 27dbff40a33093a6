import { inTransaction, type Db } from './client.ts';

/** Audit events looked at in one transaction. */
const PAGE = 20_000;

/**
 * Brings the numbers of certificates by state up to `now`: what the audit log tells since the last time is added by the minute of its expiry, what is over is
 * taken off, what is revoked or on hold is read from its index. No certificate is counted that is neither. Each page is one transaction that moves
 * the position in the log with it, so that a run killed anywhere, or two at once, count nothing twice. `signal` is asked between pages.
 */
export async function updateCertificateNumbers(db: Db, now: Date, signal?: AbortSignal): Promise<void> {
  while (signal?.aborted !== true && (await countPage(db, now)));
}

/** Returns whether there is more to count. */
function countPage(db: Db, now: Date): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const [numbers] = await tx.$queryRaw<{ audit_n: bigint }[]>`SELECT audit_n FROM certificate_numbers FOR UPDATE`;
    const counter = await tx.counter.findUnique({ where: { name: 'audit' } });
    if (!numbers || !counter) throw new Error('the row of certificate numbers or the audit counter is missing');
    const from = numbers.audit_n;
    // Numbers are in the order of commits: all events up to this one are there for the statements that follow.
    const end = counter.value < from + BigInt(PAGE) ? counter.value : from + BigInt(PAGE);
    const [added] = await tx.$queryRaw<{ issued: bigint; renewed: bigint }[]>`
      WITH made AS MATERIALIZED (
        SELECT kind, date_trunc('minute', (convert_from(event, 'UTF8')::json #>> '{detail,notAfter}')::timestamptz) + interval '1 minute' AS slot
        FROM audit_events WHERE n > ${from} AND n <= ${end} AND kind IN ('certificate.issued', 'certificate.renewed')),
      stored AS (
        INSERT INTO certificate_expiries AS e (slot, certificates) SELECT slot, count(*) FROM made GROUP BY slot ORDER BY slot
        ON CONFLICT (slot) DO UPDATE SET certificates = e.certificates + excluded.certificates)
      SELECT count(*) FILTER (WHERE kind = 'certificate.issued') AS issued, count(*) FILTER (WHERE kind = 'certificate.renewed') AS renewed FROM made`;
    const [over] = await tx.$queryRaw<{ expired: bigint }[]>`
      WITH gone AS (DELETE FROM certificate_expiries WHERE slot <= ${now} RETURNING certificates) SELECT coalesce(sum(certificates), 0)::bigint AS expired FROM gone`;
    await tx.$executeRaw`
      WITH unexpired AS (SELECT coalesce(sum(certificates), 0)::bigint AS n FROM certificate_expiries),
      not_good AS (
        SELECT count(*) FILTER (WHERE revoked_at IS NOT NULL) AS revoked, count(*) FILTER (WHERE revoked_at IS NULL) AS held FROM certificates
        WHERE bucket >= extract(epoch FROM ${now}::timestamptz)::bigint / 86400 AND not_after > ${now} AND (revoked_at IS NOT NULL OR held_at IS NOT NULL))
      UPDATE certificate_numbers SET audit_n = ${end}, counted_at = ${now}, good = greatest(unexpired.n - not_good.revoked - not_good.held, 0),
        revoked = not_good.revoked, held = not_good.held, expired = expired + ${over?.expired ?? 0n},
        issued = issued + ${added?.issued ?? 0n}, renewed = renewed + ${added?.renewed ?? 0n}
      FROM unexpired, not_good`;
    return end < counter.value;
  });
}
