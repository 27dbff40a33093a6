-- The Merkle log over the audit events (ADR 0015). Leaf i is event n = i + 1; nothing here is locked by whoever appends an event.
-- Lock order: audit_sequencer → audit_trees → audit_tree_edges; audit_logs by itself.

-- ── the tree ─────────────────────────────────────────────────────────────────────────────────────────────────────
-- A tree that was found to be wrong is kept as evidence; the next one is built from the events beside it. size: leaves that are hashed into it.
CREATE TABLE audit_trees (
  id   integer PRIMARY KEY CHECK (id > 0),
  size bigint NOT NULL CHECK (size >= 0)
);
INSERT INTO audit_trees (id, size) VALUES (1, 0);

-- Full tiles as of C2SP tlog-tiles: 256 hashes; level l holds the roots of subtrees of 256^l leaves. Written once.
CREATE TABLE audit_tiles (
  tree_id integer NOT NULL REFERENCES audit_trees (id),
  level   integer NOT NULL CHECK (level BETWEEN 0 AND 7),
  tile    bigint NOT NULL CHECK (tile >= 0),
  hashes  bytea NOT NULL CHECK (octet_length(hashes) = 8192),
  PRIMARY KEY (tree_id, level, tile)
);
-- Hashes are random: compression would look at every octet and gain nothing.
ALTER TABLE audit_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE TRIGGER audit_tiles_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tiles
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The growing right edge: of each level the hashes that do not fill a tile yet.
CREATE TABLE audit_tree_edges (
  tree_id integer NOT NULL REFERENCES audit_trees (id),
  level   integer NOT NULL CHECK (level BETWEEN 0 AND 7),
  hashes  bytea NOT NULL CHECK (octet_length(hashes) % 32 = 0 AND octet_length(hashes) < 8192),
  PRIMARY KEY (tree_id, level)
);
ALTER TABLE audit_tree_edges ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- ── logs: what checkpoints are signed as ─────────────────────────────────────────────────────────────────────────
-- One at a time. stopped: nothing is signed until an operator acts; ended: another took its place.
CREATE TABLE audit_logs (
  id         text PRIMARY KEY,
  origin     text NOT NULL UNIQUE,
  key_id     text NOT NULL REFERENCES keystore_keys (id),
  vkey       text NOT NULL,               -- C2SP signed-note
  tree_id    integer NOT NULL REFERENCES audit_trees (id),
  state      text NOT NULL CHECK (state IN ('running', 'stopped', 'ended')),
  reason     text CHECK ((reason IS NULL) = (state = 'running')),
  started_at timestamptz(3) NOT NULL,
  changed_at timestamptz(3) NOT NULL
);
CREATE UNIQUE INDEX audit_logs_one_live ON audit_logs ((true)) WHERE state <> 'ended';
-- Running → stopped → ended and never back; what a log is never changes.
CREATE FUNCTION refuse_log_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF (NEW.id, NEW.origin, NEW.key_id, NEW.vkey, NEW.tree_id, NEW.started_at) IS DISTINCT FROM (OLD.id, OLD.origin, OLD.key_id, OLD.vkey, OLD.tree_id, OLD.started_at)
    OR array_position(ARRAY['running', 'stopped', 'ended'], NEW.state) < array_position(ARRAY['running', 'stopped', 'ended'], OLD.state)
  THEN
    RAISE EXCEPTION 'a log does not change or go back' USING ERRCODE = '42501';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER audit_logs_forward BEFORE UPDATE ON audit_logs FOR EACH ROW EXECUTE FUNCTION refuse_log_change();

-- ── checkpoints: signed, and no two of one size ──────────────────────────────────────────────────────────────────
CREATE TABLE audit_checkpoints (
  log_id text NOT NULL REFERENCES audit_logs (id),
  size   bigint NOT NULL CHECK (size >= 0),
  root   bytea NOT NULL CHECK (octet_length(root) = 32),
  note   text NOT NULL,                   -- C2SP tlog-checkpoint with the log's signature
  at     timestamptz(3) NOT NULL,
  PRIMARY KEY (log_id, size)
);
CREATE INDEX audit_checkpoints_at ON audit_checkpoints (at);
CREATE FUNCTION refuse_checkpoint_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'checkpoints do not change' USING ERRCODE = '42501';
END $$;
-- Retention takes old ones away, as the owner.
CREATE TRIGGER audit_checkpoints_unchanged BEFORE UPDATE OR TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_checkpoint_update();

-- Signature lines of witnesses (C2SP tlog-cosignature), verified before they are stored.
CREATE TABLE audit_cosignatures (
  log_id  text NOT NULL,
  size    bigint NOT NULL,
  witness text NOT NULL,                  -- key name
  line    text NOT NULL,
  at      timestamptz(3) NOT NULL,
  PRIMARY KEY (log_id, size, witness),
  FOREIGN KEY (log_id, size) REFERENCES audit_checkpoints (log_id, size) ON DELETE CASCADE
);
CREATE TRIGGER audit_cosignatures_unchanged BEFORE UPDATE OR TRUNCATE ON audit_cosignatures FOR EACH STATEMENT EXECUTE FUNCTION refuse_checkpoint_update();

-- What is known of each witness for each log. size: of the last checkpoint that it cosigned, or says that it has.
CREATE TABLE audit_witnesses (
  log_id   text NOT NULL REFERENCES audit_logs (id),
  name     text NOT NULL,                 -- key name
  size     bigint NOT NULL CHECK (size >= 0),
  state    text NOT NULL CHECK (state IN ('cosigning', 'failing', 'ahead')),
  problem  text,
  asked_at timestamptz(3) NOT NULL,
  cosigned_at timestamptz(3),
  PRIMARY KEY (log_id, name)
);

-- ── the lease of whoever sequences; by the database's clock ──────────────────────────────────────────────────────
CREATE TABLE audit_sequencer (
  singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  holder      text,
  lease_until timestamptz(3) NOT NULL
);
INSERT INTO audit_sequencer (holder, lease_until) VALUES (NULL, 'epoch');
