-- A kill of few as in 0012, but for three things:
-- keys are blocked after all certificates are locked, and in their order: where a profile lets renewals keep their key, who revokes one certificate of it waited for the key that a kill
-- held, and the kill for that certificate;
-- who names a certificate by its serial is told as well that somebody else made it not good moments ago, which this replica may not have heard of (DESIGN invariant 13);
-- the certificates of an instance count once towards `bound`.
CREATE OR REPLACE FUNCTION kill_few(
  kill_id text, by_selector text, selected text, effect text, why text, cause text, revocation integer, at timestamptz, live_after timestamptz, covered_after timestamptz, lately_after timestamptz, bound integer
) RETURNS TABLE (kind text, id text, agent_id text, instance_id text, serial bytea, issuer_id text, shard integer, flipped boolean) LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  by_agents boolean := by_selector IN ('agent', 'owner', 'labels');
  asked     bytea := CASE WHEN by_selector = 'serial' THEN decode(selected, 'hex') END;
  -- The day is the three octets after the version (DESIGN invariant 3).
  day       integer := (get_byte(asked, 1) << 16) | (get_byte(asked, 2) << 8) | get_byte(asked, 3);
  live_day  integer := floor(extract(epoch FROM live_after) / 86400);
  from_day  integer := floor(extract(epoch FROM covered_after) / 86400);
  meant     text[];
  hit       integer := 0;
  keys      bytea[] := '{}';
  one       record;
BEGIN
  -- Before the gate, so that what is not small, or not there, holds nobody up.
  IF by_agents THEN
    meant := kill_few_agents(by_selector, selected, bound + 1);
    hit := cardinality(meant);
    IF hit = 0 AND by_selector <> 'labels' OR hit > bound THEN RETURN QUERY SELECT 'not-at-once', NULL::text, NULL::text, NULL::text, NULL::bytea, NULL::text, NULL::integer, NULL::boolean; RETURN; END IF;
    SELECT hit + count(*) INTO hit FROM (SELECT 1 FROM certificates c WHERE c.agent_id = ANY (meant) AND c.bucket >= live_day AND c.not_after > live_after AND c.revoked_at IS NULL LIMIT bound + 1) x;
  ELSIF by_selector = 'instance' THEN
    IF NOT EXISTS (SELECT FROM instances s WHERE s.id = selected AND s.state <> 'revoked') THEN hit := bound + 1;
    ELSE SELECT count(*) INTO hit FROM (SELECT 1 FROM certificates c WHERE c.instance_id = selected AND c.bucket >= live_day AND c.not_after > live_after AND c.revoked_at IS NULL LIMIT bound + 1) x;
    END IF;
  ELSIF NOT EXISTS (SELECT FROM certificates c WHERE c.bucket = day AND c.serial = asked AND c.revoked_at IS NULL AND c.not_after > live_after) THEN
    hit := bound + 1;
  END IF;
  IF hit > bound THEN RETURN QUERY SELECT 'not-at-once', NULL::text, NULL::text, NULL::text, NULL::bytea, NULL::text, NULL::integer, NULL::boolean; RETURN; END IF;

  -- Whoever issues or registers holds it shared to the commit.
  PERFORM pg_advisory_xact_lock(7305, 1);

  -- 1: the states. Owner before agents: whoever registers an agent holds the owner's row, and is waited for.
  IF by_selector = 'owner' THEN
    FOR one IN
      WITH target AS MATERIALIZED (SELECT o.id, o.state FROM owners o WHERE o.id = selected FOR UPDATE)
      UPDATE owners o SET kill_ids = array_append(o.kill_ids, kill_few.kill_id), state = 'suspended' FROM target t WHERE o.id = t.id RETURNING o.id, t.state = 'active' AS flipped
    LOOP
      kind := 'owner'; id := one.id; flipped := one.flipped;
      RETURN NEXT;
    END LOOP;
  END IF;
  IF by_agents THEN
    -- Once more: somebody may have registered one, or changed its labels.
    meant := kill_few_agents(by_selector, selected, bound + 1);
    hit := cardinality(meant);
    FOR one IN
      WITH target AS MATERIALIZED (SELECT a.id, a.state FROM agents a WHERE a.id = ANY (meant) AND a.state <> 'retired' ORDER BY a.id FOR UPDATE)
      UPDATE agents a SET kill_ids = array_append(a.kill_ids, kill_few.kill_id), version = a.version + 1, updated_at = at,
        state = CASE WHEN kill_few.effect = 'retire' THEN 'retired' WHEN a.state = 'active' THEN 'suspended' ELSE a.state END,
        suspension_id = CASE WHEN kill_few.effect = 'retire' THEN NULL ELSE a.suspension_id END,
        state_reason = CASE WHEN kill_few.effect = 'retire' OR a.state = 'active' THEN why ELSE a.state_reason END
      FROM target t WHERE a.id = t.id RETURNING a.id, a.state <> t.state AS flipped
    LOOP
      kind := 'agent'; id := one.id; flipped := one.flipped;
      RETURN NEXT;
    END LOOP;
  ELSIF by_selector = 'instance' THEN
    FOR one IN
      WITH target AS MATERIALIZED (SELECT s.id, s.state FROM instances s WHERE s.id = selected AND s.state <> 'revoked' FOR UPDATE)
      UPDATE instances s SET kill_ids = array_append(s.kill_ids, kill_few.kill_id), updated_at = at,
        state = CASE WHEN kill_few.effect = 'revoke' THEN 'revoked' ELSE 'quarantined' END,
        quarantine_id = CASE WHEN kill_few.effect = 'revoke' THEN NULL ELSE s.quarantine_id END,
        quarantine_reason = CASE WHEN kill_few.effect <> 'revoke' AND s.state = 'active' THEN why ELSE s.quarantine_reason END
      FROM target t WHERE s.id = t.id RETURNING s.id, s.agent_id, s.state <> t.state AS flipped
    LOOP
      kind := 'instance'; id := one.id; agent_id := one.agent_id; flipped := one.flipped;
      RETURN NEXT;
    END LOOP;
    -- Somebody has looked and decided.
    IF kill_few.effect = 'revoke' THEN UPDATE findings f SET resolved_at = at WHERE f.instance_id = selected AND f.resolved_at IS NULL; END IF;
  END IF;

  -- 2: the certificates, in later statements, so that none of the issuances that were waited for is missed.
  IF NOT by_agents THEN hit := 0; END IF;
  FOR one IN
    SELECT c.bucket, c.serial, c.key_hash FROM certificates c
    WHERE by_agents AND c.agent_id = ANY (meant) AND c.bucket >= from_day AND c.not_after > covered_after AND c.revoked_at IS NULL
    UNION ALL SELECT c.bucket, c.serial, c.key_hash FROM certificates c
    WHERE by_selector = 'instance' AND c.instance_id = selected AND c.bucket >= from_day AND c.not_after > covered_after AND c.revoked_at IS NULL
    UNION ALL SELECT c.bucket, c.serial, c.key_hash FROM certificates c WHERE by_selector = 'serial' AND c.bucket = day AND c.serial = asked AND c.revoked_at IS NULL
    ORDER BY 1, 2 LIMIT bound + 1
  LOOP
    hit := hit + 1;
    -- In the order of serials, as everybody locks several.
    IF kill_few.effect = 'suspend' THEN
      UPDATE certificates c SET hold_causes = array_append(c.hold_causes, cause), held_at = coalesce(c.held_at, at)
        WHERE c.bucket = one.bucket AND c.serial = one.serial AND c.revoked_at IS NULL
        RETURNING c.agent_id, c.instance_id, c.serial, c.issuer_id, c.shard, cardinality(c.hold_causes) = 1 INTO agent_id, instance_id, serial, issuer_id, shard, flipped;
    ELSE
      UPDATE certificates c SET revoked_at = at, revocation_reason = revocation WHERE c.bucket = one.bucket AND c.serial = one.serial AND c.revoked_at IS NULL
        RETURNING c.agent_id, c.instance_id, c.serial, c.issuer_id, c.shard, true INTO agent_id, instance_id, serial, issuer_id, shard, flipped;
      IF FOUND THEN keys := array_append(keys, one.key_hash); END IF;
    END IF;
    -- Somebody else has revoked it meanwhile.
    CONTINUE WHEN serial IS NULL;
    kind := 'certificate'; id := NULL;
    RETURN NEXT;
  END LOOP;
  IF hit > bound THEN kind := 'not-at-once'; RETURN NEXT; RETURN; END IF;
  IF cardinality(keys) > 0 THEN
    PERFORM FROM public_keys k WHERE k.key_hash = ANY (keys) AND k.blocked_at IS NULL ORDER BY k.key_hash FOR UPDATE;
    UPDATE public_keys k SET blocked_at = at WHERE k.key_hash = ANY (keys) AND k.blocked_at IS NULL;
  END IF;

  -- Not good since moments ago by somebody else's doing, who may not have told everybody.
  RETURN QUERY
    SELECT 'lately', NULL::text, c.agent_id, c.instance_id, c.serial, c.issuer_id, c.shard, true FROM certificates c
    WHERE (by_agents AND c.agent_id = ANY (meant) OR by_selector = 'instance' AND c.instance_id = selected) AND c.bucket >= from_day AND c.not_after > covered_after
      AND (c.revoked_at > lately_after AND c.revoked_at <> at OR c.held_at > lately_after AND c.held_at <> at)
    UNION ALL SELECT 'lately', NULL, c.agent_id, c.instance_id, c.serial, c.issuer_id, c.shard, true FROM certificates c
    WHERE by_selector = 'serial' AND c.bucket = day AND c.serial = asked
      AND (c.revoked_at > lately_after AND c.revoked_at <> at OR c.held_at > lately_after AND c.held_at <> at);
END $$;
