-- Status of certificates by serial, for OCSP and JSON status (docs/performance.md). As text from the service the statement had a branch for each day asked about and was
-- planned anew for each batch; here plans are made once. `asked` is the serials one after the other, 20 octets each, none twice.
-- STABLE: all of it is read in the snapshot of the statement that calls it, which begins after the question.
CREATE FUNCTION certificate_statuses(asked bytea) RETURNS TABLE (
  serial bytea, issuer_id text, agent_id text, instance_id text, not_after timestamptz, revoked_at timestamptz, revocation_reason integer, held_at timestamptz
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
  serials bytea[] := ARRAY(SELECT substr(asked, 1 + 20 * i, 20) FROM generate_series(0, length(asked) / 20 - 1) i);
  day     integer;
  of_day  bytea[];
BEGIN
  -- One day at a time, so that the other partitions are pruned when the statement starts. The day is the three octets after the version (DESIGN invariant 3).
  FOR day, of_day IN SELECT (get_byte(s, 1) << 16) | (get_byte(s, 2) << 8) | get_byte(s, 3) AS d, array_agg(s) FROM unnest(serials) s GROUP BY d LOOP
    RETURN QUERY
      SELECT c.serial, c.issuer_id, c.agent_id, c.instance_id, c.not_after, c.revoked_at, c.revocation_reason, c.held_at
      FROM certificates c WHERE c.bucket = day AND c.serial = ANY (of_day);
  END LOOP;
  -- Certificates of the authority itself have neither agent nor instance.
  RETURN QUERY
    SELECT a.serial, a.issuer_id, NULL::text, NULL::text, a.not_after, a.revoked_at, a.revocation_reason, NULL::timestamptz
    FROM authority_certificates a WHERE a.issuer_id IS NOT NULL AND a.serial = ANY (serials);
  -- What a restored database carries over of revocations comes last. 6 is certificateHold, 8 removeFromCRL: the hold was released.
  RETURN QUERY
    SELECT r.serial, r.issuer_id, NULL::text, NULL::text, r.not_after, CASE WHEN r.reason <> 6 THEN r.revoked_at END, r.reason, CASE WHEN r.reason = 6 THEN r.revoked_at END
    FROM carried_revocations r WHERE r.reason <> 8 AND r.serial = ANY (serials);
END $$;
