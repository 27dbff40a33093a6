-- The statements that must see the world as it is at their commit. One call = one round trip = one transaction.
-- Lock order, everywhere: gate → agents → instances → join_tokens → certificates (by serial) → public_keys → feed counter → audit counter.

-- One certificate to commit, as the service sends it (src/db/commit.ts).
CREATE TYPE certificate_commit AS (
  i              integer,
  kind           text,        -- 'enroll' | 'renew'
  agent_id       text,
  agent_version  integer,     -- of the registration that policy decided on
  instance_id    text,
  token_id       text,        -- enroll by join token
  source         text,        -- enroll: where from
  old_bucket     integer,     -- renew: the presented certificate
  old_serial     bytea,
  key_reuse      boolean,     -- renew: the profile allows the old key
  bucket         integer,
  serial         bytea,
  issuer_id      text,
  profile        text,
  shard          integer,
  generation     integer,
  key_hash       bytea,
  der            text,        -- base64: half the octets of what JSON would make of bytea
  not_before     timestamptz,
  not_after      timestamptz,
  issued_at      timestamptz,
  idem_caller    text,        -- idempotency record, or nulls
  idem_route     text,
  idem_key       text,
  idem_body_hash bytea,
  idem_expires_at timestamptz,
  audit_id       text,
  audit_kind     text,
  actor_kind     text,
  actor_id       text,
  request_id     text,
  event          text         -- the canonical bytes, UTF-8
);

-- Commits a batch of signed certificates with their audit events; a row that lost a race is refused alone (DESIGN §2, steps 7 and invariants 1, 5, 7).
-- Returns one verdict a row: 'committed', or the code of what refused it. The caller puts no two rows that share a token, an instance,
-- a key or an idempotency key into one batch.
CREATE FUNCTION commit_certificates(batch json) RETURNS TABLE (i integer, verdict text) LANGUAGE plpgsql AS $$
DECLARE
  cert     certificate_commit[];
  verdicts text[];
  kept     bytea[];
  taken    text[];
  stopped  boolean;
  locked   text[];
BEGIN
  cert := ARRAY(SELECT r FROM json_populate_recordset(NULL::certificate_commit, batch) r ORDER BY r.i);

  -- Selector kills hold this exclusively; a batch that got it first is seen whole by the kill's later statements.
  PERFORM pg_advisory_xact_lock_shared(7305, 1);
  -- Suspend and retire update these rows: they wait for us, or we see what they did. An agent that somebody is changing right now is left for a later
  -- batch, and nothing else of it is waited for, so that its change does not hold up everybody else's certificates.
  locked := ARRAY(SELECT a.id FROM agents a WHERE a.id IN (SELECT c.agent_id FROM unnest(cert) c) ORDER BY a.id FOR SHARE SKIP LOCKED);
  PERFORM 1 FROM instances s WHERE s.id IN (SELECT c.instance_id FROM unnest(cert) c WHERE c.kind = 'renew' AND c.agent_id = ANY (locked)) ORDER BY s.id FOR UPDATE;
  PERFORM 1 FROM join_tokens t WHERE t.id IN (SELECT c.token_id FROM unnest(cert) c WHERE c.agent_id = ANY (locked)) ORDER BY t.id FOR UPDATE;
  -- In the order of serials, as everybody who locks several.
  PERFORM 1 FROM (SELECT c.old_bucket, c.old_serial FROM unnest(cert) c WHERE c.kind = 'renew' AND c.agent_id = ANY (locked) ORDER BY c.old_serial) c, LATERAL (
      SELECT 1 FROM certificates o WHERE o.bucket = c.old_bucket AND o.serial = c.old_serial FOR UPDATE) o;

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
      WHEN c.kind = 'renew' AND (p.serial IS NULL OR p.revoked_at IS NOT NULL) THEN 'client-certificate-revoked'
      WHEN c.kind = 'renew' AND p.held_at IS NOT NULL THEN 'client-certificate-held'
      ELSE 'committed' END
    FROM unnest(cert) c
    LEFT JOIN agents a ON a.id = c.agent_id
    LEFT JOIN owners o ON o.id = a.owner_id
    LEFT JOIN authority_certificates i ON i.id = c.issuer_id
    LEFT JOIN join_tokens t ON t.id = c.token_id
    LEFT JOIN instances s ON s.id = c.instance_id
    LEFT JOIN LATERAL (SELECT * FROM certificates q WHERE q.bucket = c.old_bucket AND q.serial = c.old_serial) p ON true
    ORDER BY c.i);

  -- A key belongs to one agent (invariant 5). The unique index decides between concurrent batches; sorted, so that they cannot deadlock.
  WITH claimed AS (
    INSERT INTO public_keys AS k (key_hash, agent_id, instance_id, first_seen_at, not_after)
    SELECT c.key_hash, c.agent_id, c.instance_id, c.issued_at, c.not_after FROM unnest(cert) c WHERE verdicts[c.i] = 'committed' ORDER BY c.key_hash
    ON CONFLICT (key_hash) DO UPDATE SET not_after = greatest(k.not_after, excluded.not_after)
      WHERE k.agent_id = excluded.agent_id AND k.instance_id = excluded.instance_id AND k.blocked_at IS NULL
        AND EXISTS (SELECT 1 FROM unnest(cert) c WHERE c.key_hash = excluded.key_hash AND c.key_reuse)
    RETURNING k.key_hash)
  SELECT array_agg(key_hash) INTO kept FROM claimed;
  verdicts := ARRAY(
    SELECT CASE WHEN verdicts[c.i] = 'committed' AND NOT (c.key_hash = ANY (coalesce(kept, '{}'))) THEN 'key-in-use' ELSE verdicts[c.i] END
    FROM unnest(cert) c ORDER BY c.i);

  IF EXISTS (SELECT 1 FROM unnest(cert) c WHERE c.idem_key IS NOT NULL) THEN
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

  IF 'committed' = ANY (verdicts) THEN
    UPDATE join_tokens t SET used_at = c.issued_at, used_key_hash = c.key_hash, used_serial = c.serial, used_instance_id = c.instance_id
      FROM unnest(cert) c WHERE t.id = c.token_id AND verdicts[c.i] = 'committed';
    INSERT INTO instances (id, agent_id, state, generation, tip_serial, enrolled_by, enrolled_from, created_at, updated_at)
      SELECT c.instance_id, c.agent_id, 'active', c.generation, c.serial, 'join-token:' || c.token_id, c.source, c.issued_at, c.issued_at
      FROM unnest(cert) c WHERE c.kind = 'enroll' AND verdicts[c.i] = 'committed';
    UPDATE instances s SET generation = c.generation, tip_serial = c.serial, updated_at = c.issued_at
      FROM unnest(cert) c WHERE c.kind = 'renew' AND s.id = c.instance_id AND verdicts[c.i] = 'committed';
    IF EXISTS (SELECT 1 FROM unnest(cert) c WHERE c.kind = 'renew') THEN
      UPDATE certificates o SET superseded_by = c.serial, superseded_at = c.issued_at
        FROM unnest(cert) c WHERE c.kind = 'renew' AND o.bucket = c.old_bucket AND o.serial = c.old_serial AND verdicts[c.i] = 'committed';
    END IF;
    INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at)
      SELECT c.bucket, c.serial, c.issuer_id, c.agent_id, c.instance_id, c.profile, c.shard, c.generation, sha256(decode(c.der, 'base64')), c.key_hash, decode(c.der, 'base64'), c.not_before, c.not_after, c.issued_at
      FROM unnest(cert) c WHERE verdicts[c.i] = 'committed';
    -- Last: the number is taken here and held to the commit (invariant 8).
    WITH numbered AS (
      SELECT c.*, row_number() OVER (ORDER BY c.i) AS k, count(*) OVER () AS total FROM unnest(cert) c WHERE verdicts[c.i] = 'committed'),
    taken AS (UPDATE counters SET value = value + (SELECT max(k) FROM numbered) WHERE name = 'audit' RETURNING value)
    INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, agent_id, instance_id, serial, target, request_id, event)
      SELECT taken.value - numbered.total + numbered.k, audit_id, audit_kind, 'success', issued_at, actor_kind, actor_id, agent_id, instance_id, serial, token_id, request_id, convert_to(event, 'UTF8')
      FROM numbered, taken;
  END IF;

  RETURN QUERY SELECT c.i, verdicts[c.i] FROM unnest(cert) c ORDER BY c.i;
END $$;

-- Records that certificates were presented and returns what is known of each (DESIGN §1 "Presented", §2 renewal rules).
-- A fingerprint that does not match the stored one is no presentation of ours: no row comes back.
CREATE FUNCTION present_certificates(presented json, at timestamptz) RETURNS TABLE (
  i integer, serial bytea, agent_id text, agent_name text, agent_state text, instance_id text, instance_state text, generation integer, tip_serial bytea,
  profile text, issuer_id text, shard integer, key_hash bytea, not_after timestamptz, issued_at timestamptz, superseded_by bytea, displaced boolean, revoked_at timestamptz,
  revocation_reason integer, held_at timestamptz, owner_id text, owner_state text, dns_names text[], agent_profile text, ttl_cap_seconds integer, agent_version integer
) LANGUAGE plpgsql AS $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT p.bucket, p.serial, p.fingerprint FROM json_to_recordset(presented) AS p (i integer, bucket integer, serial bytea, fingerprint bytea) ORDER BY p.serial LOOP
    UPDATE certificates c SET presented_at = at
      WHERE c.bucket = one.bucket AND c.serial = one.serial AND c.fingerprint = one.fingerprint AND c.presented_at IS NULL;
  END LOOP;
  RETURN QUERY
    SELECT p.i, c.serial, c.agent_id, a.name, a.state, c.instance_id, s.state, s.generation, s.tip_serial,
      c.profile, c.issuer_id, c.shard, c.key_hash, c.not_after, c.issued_at, c.superseded_by, c.displaced, c.revoked_at,
      c.revocation_reason, c.held_at, a.owner_id, o.state, a.dns_names, a.profile, a.ttl_cap_seconds, a.version
    FROM json_to_recordset(presented) AS p (i integer, bucket integer, serial bytea, fingerprint bytea)
    CROSS JOIN LATERAL (SELECT * FROM certificates q WHERE q.bucket = p.bucket AND q.serial = p.serial AND q.fingerprint = p.fingerprint) c
    JOIN agents a ON a.id = c.agent_id
    JOIN instances s ON s.id = c.instance_id
    LEFT JOIN owners o ON o.id = a.owner_id;
END $$;
