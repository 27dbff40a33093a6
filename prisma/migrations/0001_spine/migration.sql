-- The spine. Reviewed SQL, not generated: Prisma cannot express partitions, partial indexes, triggers and functions.
-- Times are timestamptz(3); serials, hashes and DER are bytea; ids are ULIDs (text).

-- The world that numbers belong to (DESIGN invariant 14).
CREATE TABLE cluster (
  singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  id           text NOT NULL,
  epoch        integer NOT NULL DEFAULT 1,
  trust_domain text NOT NULL,
  created_at   timestamptz(3) NOT NULL
);

-- Gap-free numbers in commit order (invariant 8): updated by the last statements of a transaction, feed before audit.
CREATE TABLE counters (
  name  text PRIMARY KEY,
  value bigint NOT NULL
);
INSERT INTO counters (name, value) VALUES ('feed', 0), ('audit', 0);

-- ── key store ────────────────────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE key_encryption_keys (
  id          text PRIMARY KEY,
  source      text NOT NULL CHECK (source IN ('file', 'passphrase')),
  scrypt_salt bytea,
  check_value bytea NOT NULL,
  created_at  timestamptz(3) NOT NULL
);

CREATE TABLE keystore_keys (
  id           text PRIMARY KEY,
  algorithm    text NOT NULL,
  purpose      text NOT NULL,
  spki         bytea NOT NULL,
  sealed_pkcs8 bytea,                            -- NULL: destroyed, some time after its last certificate was retired
  kek_id       text NOT NULL REFERENCES key_encryption_keys (id),
  created_at   timestamptz(3) NOT NULL
);

-- ── authorities: the CA's own certificates, unpartitioned (invariant 3) ──────────────────────────────────────────
CREATE TABLE authority_certificates (
  id                text PRIMARY KEY,
  kind              text NOT NULL CHECK (kind IN ('root', 'cross', 'issuing', 'ocsp', 'tls')),
  state             text NOT NULL CHECK (state IN ('prepared', 'active', 'retiring', 'retired')),
  issuer_id         text REFERENCES authority_certificates (id),
  serial            bytea NOT NULL UNIQUE,
  fingerprint       bytea NOT NULL UNIQUE,
  subject           text NOT NULL,
  ski               bytea NOT NULL,
  key_id            text NOT NULL REFERENCES keystore_keys (id),
  algorithm         text NOT NULL,
  der               bytea NOT NULL,
  shard_count       integer NOT NULL DEFAULT 1 CHECK (shard_count BETWEEN 1 AND 4096),
  not_before        timestamptz(3) NOT NULL,
  not_after         timestamptz(3) NOT NULL,
  created_at        timestamptz(3) NOT NULL,
  activated_at      timestamptz(3),
  retiring_at       timestamptz(3),
  retired_at        timestamptz(3),
  revoked_at        timestamptz(3),
  revocation_reason integer
);
CREATE UNIQUE INDEX authority_one_active_issuing ON authority_certificates (kind) WHERE kind = 'issuing' AND state = 'active';
CREATE INDEX authority_by_key ON authority_certificates (key_id);
CREATE INDEX authority_by_issuer ON authority_certificates (issuer_id, kind, state);

-- ── owners, agents, instances ────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE owners (
  id            text PRIMARY KEY,
  email         text NOT NULL UNIQUE,
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
  suspension_id text,
  created_at    timestamptz(3) NOT NULL
);

CREATE TABLE agents (
  id              text PRIMARY KEY,
  name            text NOT NULL,
  state           text NOT NULL CHECK (state IN ('proposed', 'active', 'suspended', 'retired')),
  owner_id        text REFERENCES owners (id),
  deputy_email    text,
  purpose         text NOT NULL,
  risk_class      text NOT NULL CHECK (risk_class IN ('minimal', 'limited', 'high')),
  environment     text NOT NULL,
  labels          jsonb NOT NULL DEFAULT '{}',
  dns_names       text[] NOT NULL DEFAULT '{}',
  profile         text NOT NULL,
  ttl_cap_seconds integer CHECK (ttl_cap_seconds > 0),
  suspension_id   text,
  state_reason    text,
  version         integer NOT NULL DEFAULT 1,
  created_at      timestamptz(3) NOT NULL,
  updated_at      timestamptz(3) NOT NULL,
  CHECK (state <> 'active' OR owner_id IS NOT NULL)
);
CREATE UNIQUE INDEX agents_name ON agents (name) WHERE state <> 'retired';
CREATE INDEX agents_owner ON agents (owner_id);
CREATE INDEX agents_labels ON agents USING gin (labels jsonb_path_ops);

CREATE TABLE instances (
  id                text PRIMARY KEY,
  agent_id          text NOT NULL REFERENCES agents (id),
  state             text NOT NULL CHECK (state IN ('active', 'quarantined', 'revoked')),
  generation        integer NOT NULL,
  tip_serial        bytea NOT NULL,
  quarantine_id     text,
  quarantine_reason text,
  enrolled_by       text NOT NULL,
  enrolled_from     text,
  created_at        timestamptz(3) NOT NULL,
  updated_at        timestamptz(3) NOT NULL
);
CREATE INDEX instances_agent ON instances (agent_id, id);

-- ── certificates, partitioned by expiry day (invariant 3). No DEFAULT partition ──────────────────────────────────
CREATE TABLE certificates (
  bucket            integer NOT NULL,            -- UTC day of not_after since 1970 = octets 1..3 of the serial
  serial            bytea NOT NULL CHECK (octet_length(serial) = 20),
  issuer_id         text NOT NULL,
  agent_id          text NOT NULL,
  instance_id       text NOT NULL,
  profile           text NOT NULL,
  shard             integer NOT NULL,
  generation        integer NOT NULL,
  fingerprint       bytea NOT NULL,              -- SHA-256 of der
  key_hash          bytea NOT NULL,              -- SHA-256 of the SubjectPublicKeyInfo
  der               bytea NOT NULL,
  not_before        timestamptz(3) NOT NULL,
  not_after         timestamptz(3) NOT NULL,
  issued_at         timestamptz(3) NOT NULL,
  presented_at      timestamptz(3),              -- first use in any request authenticated to Signet
  superseded_by     bytea,
  superseded_at     timestamptz(3),
  displaced         boolean NOT NULL DEFAULT false, -- revoked by renewal rule (b): presenting it is rule (c)
  revoked_at        timestamptz(3),
  revocation_reason integer,
  hold_causes       text[] NOT NULL DEFAULT '{}',
  held_at           timestamptz(3),
  PRIMARY KEY (bucket, serial)
) PARTITION BY RANGE (bucket);
CREATE INDEX certificates_agent ON certificates (agent_id, issued_at, serial);
CREATE INDEX certificates_instance ON certificates (instance_id);
CREATE INDEX certificates_key ON certificates (key_hash);
CREATE INDEX certificates_not_good ON certificates (issuer_id, shard, serial) WHERE revoked_at IS NOT NULL OR held_at IS NOT NULL;

-- Public keys ever certified, unpartitioned, with their own retention (invariant 5).
CREATE TABLE public_keys (
  key_hash      bytea PRIMARY KEY,
  agent_id      text NOT NULL,
  instance_id   text NOT NULL,
  first_seen_at timestamptz(3) NOT NULL,
  not_after     timestamptz(3) NOT NULL,
  blocked_at    timestamptz(3)
);
CREATE INDEX public_keys_not_after ON public_keys (not_after);

-- Wide stops (kill selectors). Written under the exclusive gate, read by every issuance batch under the shared one.
CREATE TABLE issuance_stops (
  kind       text NOT NULL CHECK (kind IN ('everything', 'profile', 'issuer')),
  target     text NOT NULL,
  cause      text NOT NULL,
  created_at timestamptz(3) NOT NULL,
  PRIMARY KEY (kind, target)
);

CREATE TABLE join_tokens (
  id               text PRIMARY KEY,
  secret_hash      bytea NOT NULL,
  agent_id         text NOT NULL REFERENCES agents (id),
  source_cidrs     text[] NOT NULL DEFAULT '{}',
  bound_key_hash   bytea,
  created_by       text NOT NULL,
  created_at       timestamptz(3) NOT NULL,
  expires_at       timestamptz(3) NOT NULL,
  used_at          timestamptz(3),
  used_key_hash    bytea,
  used_serial      bytea,
  used_instance_id text
);
CREATE INDEX join_tokens_agent ON join_tokens (agent_id, id);
CREATE INDEX join_tokens_expiry ON join_tokens (expires_at);

CREATE TABLE findings (
  id          text PRIMARY KEY,
  kind        text NOT NULL,
  agent_id    text,
  instance_id text,
  serial      bytea,
  detail      jsonb NOT NULL DEFAULT '{}',
  created_at  timestamptz(3) NOT NULL,
  resolved_at timestamptz(3)
);
CREATE INDEX findings_open ON findings (instance_id) WHERE resolved_at IS NULL;
CREATE INDEX findings_resolved ON findings (resolved_at) WHERE resolved_at IS NOT NULL;

-- ── feed and lists ───────────────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE feed_events (
  n           bigint PRIMARY KEY,
  epoch       integer NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('revoked', 'held', 'released', 'agent-suspended', 'agent-resumed', 'agent-retired', 'instance-quarantined', 'instance-released', 'instance-revoked')),
  serial      bytea,
  issuer_id   text,
  shard       integer,
  agent_id    text,
  instance_id text,
  reason      integer,
  at          timestamptz(3) NOT NULL
);

-- One row a list; shard -1 is the complete CRL. The row is the lock, the number and the stored list at once (invariant 6).
CREATE TABLE crls (
  issuer_id   text NOT NULL REFERENCES authority_certificates (id),
  shard       integer NOT NULL,
  number      bigint NOT NULL DEFAULT 0,
  this_update timestamptz(3),
  next_update timestamptz(3),
  entries     integer NOT NULL DEFAULT 0,
  feed_n      bigint NOT NULL DEFAULT 0,
  der         bytea,
  PRIMARY KEY (issuer_id, shard)
);

-- ── audit: append-only (invariants 8, 9, 10) ─────────────────────────────────────────────────────────────────────
CREATE TABLE audit_events (
  n           bigint PRIMARY KEY,
  id          text NOT NULL UNIQUE,
  kind        text NOT NULL,
  outcome     text NOT NULL,
  at          timestamptz(3) NOT NULL,
  actor_kind  text NOT NULL,
  actor_id    text NOT NULL,
  agent_id    text,
  instance_id text,
  serial      bytea,
  target      text,
  request_id  text,
  event       bytea NOT NULL -- canonical, versioned bytes: the future Merkle leaf
);
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_agent ON audit_events (agent_id, n) WHERE agent_id IS NOT NULL;
CREATE INDEX audit_events_serial ON audit_events (serial) WHERE serial IS NOT NULL;
CREATE INDEX audit_events_actor ON audit_events (actor_id, n);
CREATE INDEX audit_events_kind ON audit_events (kind, n);

-- Personal fields beside the event, which carries only their salted hash: erasing a person deletes rows here (by the owner role).
CREATE TABLE audit_personal (
  event_id text NOT NULL,
  field    text NOT NULL,
  salt     bytea NOT NULL,
  value    text NOT NULL,
  PRIMARY KEY (event_id, field)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit events are append-only' USING ERRCODE = '42501';
END $$;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ── admins, idempotency, jobs ────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE admin_tokens (
  id           text PRIMARY KEY,
  name         text NOT NULL,
  role         text NOT NULL CHECK (role IN ('admin', 'operator', 'auditor', 'relying-party')),
  secret_hash  bytea NOT NULL,
  created_at   timestamptz(3) NOT NULL,
  expires_at   timestamptz(3),
  revoked_at   timestamptz(3),
  last_used_at timestamptz(3)
);

CREATE TABLE idempotency_records (
  caller       text NOT NULL,
  route        text NOT NULL,
  key          text NOT NULL,
  body_hash    bytea NOT NULL,
  status       integer NOT NULL,
  answer       bytea,
  sealed       boolean NOT NULL DEFAULT false,
  serial       bytea,
  created_at   timestamptz(3) NOT NULL,
  expires_at   timestamptz(3) NOT NULL,
  PRIMARY KEY (caller, route, key)
);
CREATE INDEX idempotency_expiry ON idempotency_records (expires_at);

CREATE TABLE job_runs (
  job         text NOT NULL,
  bucket      timestamptz(3) NOT NULL,
  holder      text NOT NULL,
  lease_until timestamptz(3) NOT NULL,
  attempts    integer NOT NULL DEFAULT 1,
  started_at  timestamptz(3) NOT NULL,
  finished_at timestamptz(3),
  outcome     text CHECK (outcome IN ('succeeded', 'failed')),
  error       text,
  PRIMARY KEY (job, bucket)
);
