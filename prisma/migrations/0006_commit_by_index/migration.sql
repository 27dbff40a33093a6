-- The two hot functions again, as 0002 explains them, at a third to a tenth of their cost (docs/performance.md). What changed:
-- · Rows are found by primary key, in plans that are made once. Their generic plans are for ten rows; a plan made over a table that was small then would go on
--   reading the whole of it, and custom plans were made anew for each small batch: 2 of 2.9 ms for a batch of one.
-- · `certificates` is only ever asked for one day at a time, so that the other partitions are pruned when the statement starts. A join over all of them
--   opened each with its six indexes, in each of three statements.
-- · What a batch has nothing of (renewals, idempotency keys, refused keys) costs nothing.
-- Lock order, everywhere: gate → agents → instances → join_tokens → certificates (by serial) → public_keys → feed counter → audit counter.

CREATE OR REPLACE FUNCTION commit_certificates(batch json) RETURNS TABLE (i integer, verdict text) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
  cert       certificate_commit[];
  enrolling  boolean;
  renewing   boolean;
  keyed      boolean; -- some come with an Idempotency-Key
  verdicts   text[];
  committed  integer;
  kept       bytea[];
  taken      text[];
  stopped    boolean;
  locked     text[];
  wanted     text[];
  day        integer;
  presented  record;
  found      bytea[] := '{}'; -- presented certificates that are there, and of those
  revoked    bytea[] := '{}';
  held       bytea[] := '{}';
  last       bigint;
BEGIN
  SELECT array_agg(r ORDER BY r.i), array_agg(r.agent_id), coalesce(bool_or(r.token_id IS NOT NULL), false), coalesce(bool_or(r.kind = 'renew'), false), coalesce(bool_or(r.idem_key IS NOT NULL), false)
    INTO cert, wanted, enrolling, renewing, keyed FROM json_populate_recordset(NULL::certificate_commit, batch) r;

  -- Selector kills hold this exclusively; a batch that got it first is seen whole by the kill's later statements.
  PERFORM pg_advisory_xact_lock_shared(7305, 1);
  -- Suspend and retire update these rows: they wait for us, or we see what they did. An agent that somebody is changing right now is left for a later
  -- batch, and nothing else of it is waited for, so that its change does not hold up everybody else's certificates.
  locked := ARRAY(SELECT a.id FROM agents a WHERE a.id = ANY (wanted) ORDER BY a.id FOR SHARE SKIP LOCKED);
  IF renewing THEN
    wanted := ARRAY(SELECT c.instance_id FROM unnest(cert) c WHERE c.kind = 'renew' AND c.agent_id = ANY (locked));
    PERFORM 1 FROM instances s WHERE s.id = ANY (wanted) ORDER BY s.id FOR UPDATE;
  END IF;
  IF enrolling THEN
    wanted := ARRAY(SELECT c.token_id FROM unnest(cert) c WHERE c.token_id IS NOT NULL AND c.agent_id = ANY (locked));
    PERFORM 1 FROM join_tokens t WHERE t.id = ANY (wanted) ORDER BY t.id FOR UPDATE;
  END IF;
  IF renewing THEN
    -- In the order of serials, which begin with the day, as everybody who locks several. A row that was waited for is returned as it is then.
    FOR day IN SELECT DISTINCT c.old_bucket FROM unnest(cert) c WHERE c.kind = 'renew' AND c.agent_id = ANY (locked) ORDER BY c.old_bucket LOOP
      FOR presented IN
        SELECT o.serial, o.revoked_at, o.held_at FROM certificates o
        WHERE o.bucket = day AND o.serial = ANY (ARRAY(SELECT c.old_serial FROM unnest(cert) c WHERE c.kind = 'renew' AND c.old_bucket = day AND c.agent_id = ANY (locked)))
        ORDER BY o.serial FOR UPDATE
      LOOP
        found := found || presented.serial;
        IF presented.revoked_at IS NOT NULL THEN revoked := revoked || presented.serial; END IF;
        IF presented.held_at IS NOT NULL THEN held := held || presented.serial; END IF;
      END LOOP;
    END LOOP;
  END IF;

  stopped := EXISTS (SELECT 1 FROM issuance_stops WHERE kind = 'everything');
  -- A later statement than the locks, so that it sees what they waited for.
  -- Every join here meets at most one row: a verdict is found by its place.
  verdicts := ARRAY(
    SELECT CASE
      WHEN stopped THEN 'issuance-stopped'
      WHEN a.id IS NULL THEN 'agent-not-found'
      WHEN NOT (c.agent_id = ANY (locked)) THEN 'agent-busy'
      WHEN a.state = 'suspended' THEN 'agent-suspended'
      WHEN a.state = 'retired' THEN 'agent-retired'
      WHEN a.state <> 'active' THEN 'agent-not-active'
      WHEN o.state <> 'active' THEN 'owner-suspended'
      WHEN a.version <> c.agent_version THEN 'registration-changed'
      WHEN EXISTS (SELECT 1 FROM issuance_stops x WHERE (x.kind = 'profile' AND x.target = c.profile) OR (x.kind = 'issuer' AND x.target = c.issuer_id)) THEN 'issuance-stopped'
      WHEN i.id IS NULL OR i.revoked_at IS NOT NULL OR i.state NOT IN ('active', 'retiring') THEN 'issuer-unavailable'
      -- A replica that has not heard of the switch for an hour: retirement counts on nothing being issued after that.
      WHEN i.state = 'retiring' AND i.retiring_at < c.issued_at - interval '1 hour' THEN 'issuer-unavailable'
      WHEN c.kind = 'enroll' AND c.token_id IS NOT NULL AND (t.id IS NULL OR t.used_at IS NOT NULL) THEN 'join-token-used'
      WHEN c.kind = 'renew' AND s.state = 'quarantined' THEN 'instance-quarantined'
      WHEN c.kind = 'renew' AND s.state = 'revoked' THEN 'instance-revoked'
      WHEN c.kind = 'renew' AND (s.id IS NULL OR s.tip_serial <> c.old_serial) THEN 'certificate-superseded'
      WHEN c.kind = 'renew' AND (NOT (c.old_serial = ANY (found)) OR c.old_serial = ANY (revoked)) THEN 'client-certificate-revoked'
      WHEN c.kind = 'renew' AND c.old_serial = ANY (held) THEN 'client-certificate-held'
      ELSE 'committed' END
    FROM unnest(cert) c
    LEFT JOIN LATERAL (SELECT * FROM agents WHERE id = c.agent_id OFFSET 0) a ON true
    LEFT JOIN LATERAL (SELECT * FROM owners WHERE id = a.owner_id OFFSET 0) o ON true
    LEFT JOIN LATERAL (SELECT * FROM authority_certificates WHERE id = c.issuer_id OFFSET 0) i ON true
    LEFT JOIN LATERAL (SELECT * FROM join_tokens WHERE enrolling AND id = c.token_id OFFSET 0) t ON true
    LEFT JOIN LATERAL (SELECT * FROM instances WHERE renewing AND id = c.instance_id OFFSET 0) s ON true
    ORDER BY c.i);

  -- A key belongs to one agent (invariant 5). The unique index decides between concurrent batches; sorted, so that they cannot deadlock.
  WITH claimed AS (
    INSERT INTO public_keys AS k (key_hash, agent_id, instance_id, first_seen_at, not_after)
    SELECT c.key_hash, c.agent_id, c.instance_id, c.issued_at, c.not_after FROM unnest(cert) c WHERE verdicts[c.i] = 'committed' ORDER BY c.key_hash
    ON CONFLICT (key_hash) DO UPDATE SET not_after = greatest(k.not_after, excluded.not_after)
      WHERE k.agent_id = excluded.agent_id AND k.instance_id = excluded.instance_id AND k.blocked_at IS NULL
        AND EXISTS (SELECT 1 FROM unnest(cert) c WHERE c.key_hash = excluded.key_hash AND c.key_reuse)
    RETURNING k.key_hash)
  SELECT coalesce(array_agg(key_hash), '{}') INTO kept FROM claimed;
  IF cardinality(kept) < cardinality(array_positions(verdicts, 'committed')) THEN
    verdicts := ARRAY(
      SELECT CASE WHEN verdicts[c.i] = 'committed' AND NOT (c.key_hash = ANY (kept)) THEN 'key-in-use' ELSE verdicts[c.i] END
      FROM unnest(cert) c ORDER BY c.i);
  END IF;

  IF keyed THEN
    WITH recorded AS (
      INSERT INTO idempotency_records (caller, route, key, body_hash, status, serial, created_at, expires_at)
      SELECT c.idem_caller, c.idem_route, c.idem_key, c.idem_body_hash, 201, c.serial, c.issued_at, c.idem_expires_at
      FROM unnest(cert) c WHERE c.idem_key IS NOT NULL AND verdicts[c.i] = 'committed' ORDER BY c.idem_caller, c.idem_route, c.idem_key
      ON CONFLICT DO NOTHING
      RETURNING serial)
    SELECT array_agg(encode(serial, 'hex')) INTO taken FROM recorded;
    DELETE FROM public_keys k USING unnest(cert) c
      WHERE c.idem_key IS NOT NULL AND verdicts[c.i] = 'committed' AND NOT (encode(c.serial, 'hex') = ANY (coalesce(taken, '{}')))
        AND k.key_hash = c.key_hash AND k.first_seen_at = c.issued_at AND NOT c.key_reuse;
    verdicts := ARRAY(
      SELECT CASE WHEN c.idem_key IS NOT NULL AND verdicts[c.i] = 'committed' AND NOT (encode(c.serial, 'hex') = ANY (coalesce(taken, '{}')))
        THEN 'idempotency-in-progress' ELSE verdicts[c.i] END
      FROM unnest(cert) c ORDER BY c.i);
  END IF;

  committed := cardinality(array_positions(verdicts, 'committed'));
  IF committed > 0 THEN
    IF enrolling THEN
      wanted := ARRAY(SELECT CASE WHEN verdicts[c.i] = 'committed' THEN c.token_id END FROM unnest(cert) c ORDER BY c.i);
      UPDATE join_tokens t SET used_at = (cert[array_position(wanted, t.id)]).issued_at, used_key_hash = (cert[array_position(wanted, t.id)]).key_hash,
          used_serial = (cert[array_position(wanted, t.id)]).serial, used_instance_id = (cert[array_position(wanted, t.id)]).instance_id
        WHERE t.id = ANY (wanted);
    END IF;
    INSERT INTO instances (id, agent_id, state, generation, tip_serial, enrolled_by, enrolled_from, created_at, updated_at)
      SELECT c.instance_id, c.agent_id, 'active', c.generation, c.serial, 'join-token:' || c.token_id, c.source, c.issued_at, c.issued_at
      FROM unnest(cert) c WHERE c.kind = 'enroll' AND verdicts[c.i] = 'committed';
    IF renewing THEN
      wanted := ARRAY(SELECT CASE WHEN verdicts[c.i] = 'committed' THEN c.instance_id END FROM unnest(cert) c ORDER BY c.i);
      UPDATE instances s SET generation = (cert[array_position(wanted, s.id)]).generation, tip_serial = (cert[array_position(wanted, s.id)]).serial,
          updated_at = (cert[array_position(wanted, s.id)]).issued_at
        WHERE s.id = ANY (wanted);
      found := ARRAY(SELECT CASE WHEN verdicts[c.i] = 'committed' THEN c.old_serial END FROM unnest(cert) c ORDER BY c.i);
      FOR day IN SELECT DISTINCT c.old_bucket FROM unnest(cert) c WHERE c.kind = 'renew' AND verdicts[c.i] = 'committed' LOOP
        UPDATE certificates o SET superseded_by = (cert[array_position(found, o.serial)]).serial, superseded_at = (cert[array_position(found, o.serial)]).issued_at
          WHERE o.bucket = day AND o.serial = ANY (found);
      END LOOP;
    END IF;
    INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at)
      SELECT c.bucket, c.serial, c.issuer_id, c.agent_id, c.instance_id, c.profile, c.shard, c.generation, sha256(d.der), c.key_hash, d.der, c.not_before, c.not_after, c.issued_at
      FROM unnest(cert) c, LATERAL (SELECT decode(c.der, 'base64') AS der OFFSET 0) d WHERE verdicts[c.i] = 'committed';
    -- Last: the numbers are taken here and held to the commit (invariant 8).
    UPDATE counters SET value = value + committed WHERE name = 'audit' RETURNING value INTO last;
    INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, agent_id, instance_id, serial, target, request_id, event)
      SELECT last - committed + row_number() OVER (), c.audit_id, c.audit_kind, 'success', c.issued_at, c.actor_kind, c.actor_id, c.agent_id, c.instance_id, c.serial, c.token_id, c.request_id, convert_to(c.event, 'UTF8')
      FROM unnest(cert) c WHERE verdicts[c.i] = 'committed';
  END IF;

  RETURN QUERY SELECT v.place::integer, v.verdict FROM unnest(verdicts) WITH ORDINALITY AS v (verdict, place);
END $$;

CREATE OR REPLACE FUNCTION present_certificates(presented json, at timestamptz) RETURNS TABLE (
  i integer, serial bytea, agent_id text, agent_name text, agent_state text, instance_id text, instance_state text, generation integer, tip_serial bytea,
  profile text, issuer_id text, shard integer, key_hash bytea, not_after timestamptz, issued_at timestamptz, superseded_by bytea, displaced boolean, revoked_at timestamptz,
  revocation_reason integer, held_at timestamptz, owner_id text, owner_state text, dns_names text[], agent_profile text, ttl_cap_seconds integer, agent_version integer
) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
  places       integer[];
  buckets      integer[];
  serials      bytea[];
  fingerprints bytea[];
  first        bytea[];
  day          integer;
BEGIN
  SELECT array_agg(p.i), array_agg(p.bucket), array_agg(p.serial), array_agg(p.fingerprint) INTO places, buckets, serials, fingerprints
    FROM json_to_recordset(presented) AS p (i integer, bucket integer, serial bytea, fingerprint bytea);
  FOR day IN SELECT DISTINCT b FROM unnest(buckets) b ORDER BY b LOOP
    -- Locked in the order of serials, which begin with the day, as everybody who locks several.
    first := ARRAY(
      SELECT q.serial FROM certificates q WHERE q.bucket = day AND q.serial = ANY (serials) AND q.fingerprint = ANY (fingerprints) AND q.presented_at IS NULL
      ORDER BY q.serial FOR UPDATE);
    UPDATE certificates c SET presented_at = at WHERE c.bucket = day AND c.serial = ANY (first);
  END LOOP;
  -- A later statement, so that it sees what the locks waited for.
  FOR day IN SELECT DISTINCT b FROM unnest(buckets) b LOOP
    RETURN QUERY
      SELECT p.i, c.serial, c.agent_id, a.name, a.state, c.instance_id, s.state, s.generation, s.tip_serial,
        c.profile, c.issuer_id, c.shard, c.key_hash, c.not_after, c.issued_at, c.superseded_by, c.displaced, c.revoked_at,
        c.revocation_reason, c.held_at, a.owner_id, o.state, a.dns_names, a.profile, a.ttl_cap_seconds, a.version
      FROM unnest(places, buckets, serials, fingerprints) AS p (i, bucket, serial, fingerprint),
        LATERAL (SELECT * FROM certificates q WHERE q.bucket = day AND q.serial = p.serial AND q.fingerprint = p.fingerprint OFFSET 0) c,
        LATERAL (SELECT * FROM agents WHERE id = c.agent_id OFFSET 0) a,
        LATERAL (SELECT * FROM instances WHERE id = c.instance_id OFFSET 0) s
        LEFT JOIN LATERAL (SELECT * FROM owners WHERE id = a.owner_id OFFSET 0) o ON true
      WHERE p.bucket = day;
  END LOOP;
END $$;

-- Room for the two updates of a certificate's life and for the renewals of an instance, on the page where the row is (src/db/partitions.ts: FILLFACTOR).
ALTER TABLE instances SET (fillfactor = 80);
DO $$
DECLARE
  partition text;
BEGIN
  FOR partition IN SELECT i.inhrelid::regclass::text FROM pg_inherits i WHERE i.inhparent = 'certificates'::regclass LOOP
    EXECUTE format('ALTER TABLE %s SET (fillfactor = 70)', partition);
  END LOOP;
END $$;
