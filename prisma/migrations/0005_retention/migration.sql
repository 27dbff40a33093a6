-- Whoever reads the log for long (a backup) makes this wait, and everything that is issued would wait behind it: rather give up, and start again.
SET LOCAL lock_timeout = '10s';

-- What is kept of purged audit events, and certificates by state without counting them at a scrape.

-- ── purged audit events: their hashes stay ───────────────────────────────────────────────────────────────────────
-- RFC 6962 §2.1 leaf hashes, SHA-256(0x00 || event), of the events first_n to last_n, one after the other. Purging takes the oldest events only, so the rows
-- follow each other without a gap, and a Merkle tree over the whole log can still be built.
CREATE TABLE audit_leaf_hashes (
  first_n     bigint PRIMARY KEY CHECK (first_n > 0),
  last_n      bigint NOT NULL UNIQUE CHECK (last_n >= first_n),
  leaf_hashes bytea NOT NULL CHECK (octet_length(leaf_hashes) = 32 * (last_n - first_n + 1)),
  purged_at   timestamptz(3) NOT NULL
);
-- Read 32 octets at a time.
ALTER TABLE audit_leaf_hashes ALTER COLUMN leaf_hashes SET STORAGE EXTERNAL;
CREATE TRIGGER audit_leaf_hashes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_leaf_hashes
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Deleting audit events is refused as before, to everybody but the owner of the table, and to the owner for every event whose hash is not kept: looked at
-- after the statement, row by row, whoever wrote it.
DROP TRIGGER audit_events_append_only ON audit_events;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR TRUNCATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE FUNCTION refuse_unhashed_delete() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = TG_RELID) OR EXISTS (
    SELECT 1 FROM gone g WHERE NOT EXISTS (
      SELECT 1 FROM (SELECT * FROM audit_leaf_hashes h WHERE h.first_n <= g.n ORDER BY h.first_n DESC LIMIT 1) h
      WHERE h.last_n >= g.n AND substr(h.leaf_hashes, ((g.n - h.first_n) * 32 + 1)::integer, 32) = sha256('\x00'::bytea || g.event)))
  THEN
    RAISE EXCEPTION 'audit events are append-only' USING ERRCODE = '42501';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER audit_events_delete_keeps_hashes AFTER DELETE ON audit_events
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION refuse_unhashed_delete();

-- ── certificates by state ────────────────────────────────────────────────────────────────────────────────────────
-- Unexpired certificates by the end of the minute they expire in; the job count-certificates adds what was issued and drops what is over.
CREATE TABLE certificate_expiries (
  slot         timestamptz(3) PRIMARY KEY,
  certificates bigint NOT NULL
);
-- The result: one row, read by every replica. audit_n: the audit events up to here are counted.
CREATE TABLE certificate_numbers (
  singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  audit_n    bigint NOT NULL,
  counted_at timestamptz(3) NOT NULL,
  good       bigint NOT NULL,
  held       bigint NOT NULL,
  revoked    bigint NOT NULL,
  issued     bigint NOT NULL,
  renewed    bigint NOT NULL,
  expired    bigint NOT NULL
);
-- An existing log is not read again from its beginning: what lives is counted once, in one snapshot with the log's position.
WITH slots AS (
  SELECT date_trunc('minute', not_after) + interval '1 minute' AS slot, count(*) AS certificates FROM certificates
  WHERE not_after > now() GROUP BY 1),
filled AS (INSERT INTO certificate_expiries SELECT slot, certificates FROM slots RETURNING certificates)
INSERT INTO certificate_numbers (audit_n, counted_at, good, held, revoked, issued, renewed, expired)
SELECT (SELECT value FROM counters WHERE name = 'audit'), now(), (SELECT coalesce(sum(certificates), 0) FROM slots), 0, 0, 0, 0, 0;

-- What clear-agents looks for.
CREATE INDEX agents_retired ON agents (updated_at) WHERE state = 'retired';
