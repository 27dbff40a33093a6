-- Worlds: a database that was set back (a restored dump, a failover that lost what was committed) is another one than before (DESIGN invariant 14).

-- Where these tables physically are. A dump carries along where it was taken, so that its copy knows itself for one.
ALTER TABLE cluster ADD COLUMN database_identity text;

-- One row each time the database was found or made to be set back. The first world of a cluster has none.
CREATE TABLE worlds (
  id            text PRIMARY KEY,
  cause         text NOT NULL CHECK (cause IN ('restored', 'set-back')),
  noted_at      timestamptz(3) NOT NULL,
  lost_from     timestamptz(3) NOT NULL, -- of what came after this nothing is known
  after_feed_n  bigint NOT NULL,         -- last numbers of the world before that are still here
  after_audit_n bigint NOT NULL,
  epoch         integer UNIQUE,          -- the epoch that begins here; NULL until recovered
  lost_to       timestamptz(3),
  recovered_at  timestamptz(3),
  detail        jsonb NOT NULL DEFAULT '{}',
  CHECK ((epoch IS NULL) = (recovered_at IS NULL))
);
-- While there is one, no Signet starts on this database.
CREATE UNIQUE INDEX worlds_one_unrecovered ON worlds ((recovered_at IS NULL)) WHERE recovered_at IS NULL;

-- Revocations of certificates that this database does not know: they were issued in a lost window, and stand on a list that was published in it.
CREATE TABLE carried_revocations (
  serial     bytea PRIMARY KEY,
  issuer_id  text NOT NULL REFERENCES authority_certificates (id),
  shard      integer NOT NULL,
  reason     integer NOT NULL,           -- CRLReason; 6 is a hold
  revoked_at timestamptz(3) NOT NULL,
  not_after  timestamptz(3) NOT NULL     -- the latest end that the certificate can have
);
CREATE INDEX carried_revocations_issuer ON carried_revocations (issuer_id, shard);
CREATE INDEX carried_revocations_not_after ON carried_revocations (not_after);
