-- The live feed: its key, who may follow it, and who has applied what.
-- Lock order: enforcement_points (by id) → enforcement_leases, feed_acknowledgements; nothing else is locked with them.

-- ── the feed key is certified as the other keys of the authority are ─────────────────────────────────────────────
ALTER TABLE authority_certificates DROP CONSTRAINT authority_certificates_kind_check;
ALTER TABLE authority_certificates ADD CONSTRAINT authority_certificates_kind_check CHECK (kind IN ('root', 'cross', 'issuing', 'ocsp', 'tls', 'feed')) NOT VALID;

-- ── who may follow ───────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE relying_parties DROP CONSTRAINT relying_parties_may_ask_check;
ALTER TABLE relying_parties ADD CONSTRAINT relying_parties_may_ask_check CHECK (cardinality(may_ask) > 0 AND may_ask <@ ARRAY['status', 'identity', 'feed']) NOT VALID;

-- ── enforcement points ───────────────────────────────────────────────────────────────────────────────────────────
-- lease_n: the feed's last number when this lease began: it answers for every later number whose time is not after lease_until.
-- applied_n: the last number it acknowledged, in this epoch of the cluster; it never goes back.
CREATE TABLE enforcement_points (
  id               text PRIMARY KEY,
  relying_party_id text NOT NULL REFERENCES relying_parties (id),
  name             text NOT NULL,
  epoch            integer NOT NULL,
  lease_n          bigint NOT NULL,
  lease_from       timestamptz(3) NOT NULL,
  lease_until      timestamptz(3) NOT NULL,
  applied_n        bigint NOT NULL,
  applied_at       timestamptz(3) NOT NULL,
  left_at          timestamptz(3),               -- it said goodbye: not lost
  created_at       timestamptz(3) NOT NULL,
  UNIQUE (relying_party_id, name)
);
CREATE INDEX enforcement_points_lease ON enforcement_points (lease_until);

-- Leases that are over, for what was committed while they lived.
CREATE TABLE enforcement_leases (
  enforcement_point_id text NOT NULL REFERENCES enforcement_points (id) ON DELETE CASCADE,
  lease_n              bigint NOT NULL,
  lease_from           timestamptz(3) NOT NULL,
  lease_until          timestamptz(3) NOT NULL,
  has_left             boolean NOT NULL,
  PRIMARY KEY (enforcement_point_id, lease_from)
);

-- One row for each number that was acknowledged; it stands for all numbers below it that were not.
CREATE TABLE feed_acknowledgements (
  enforcement_point_id text NOT NULL REFERENCES enforcement_points (id) ON DELETE CASCADE,
  n                    bigint NOT NULL,
  at                   timestamptz(3) NOT NULL,
  PRIMARY KEY (enforcement_point_id, n)
);
CREATE INDEX feed_acknowledgements_n ON feed_acknowledgements (n);
