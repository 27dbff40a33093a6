SET LOCAL lock_timeout = '10s';

-- The kill switch, moved renewal windows, and status by fingerprint.

-- A kill is an operation over a selector: its states are changed in one transaction, its certificates follow in steps that any replica can finish.
CREATE TABLE kills (
  id                text PRIMARY KEY,
  selector          text NOT NULL CHECK (selector IN ('serial', 'instance', 'agent', 'owner', 'labels', 'issuer', 'profile', 'everything')),
  target            text NOT NULL,  -- serial in hexadecimal, id, JSON of the labels, name of the profile, or *
  effect            text NOT NULL CHECK (effect IN ('suspend', 'revoke', 'retire')),
  reason            text NOT NULL,  -- for people
  revocation_reason integer,        -- CRLReason of what it revokes
  state             text NOT NULL CHECK (state IN ('running', 'done', 'resuming', 'resumed')),
  actor_kind        text NOT NULL,
  actor_id          text NOT NULL,
  owners            integer NOT NULL DEFAULT 0,
  agents            integer NOT NULL DEFAULT 0,
  instances         integer NOT NULL DEFAULT 0,
  certificates      integer NOT NULL DEFAULT 0,
  released          integer NOT NULL DEFAULT 0,
  position          text,           -- up to where the certificates are done: an agent, or "<bucket>:<serial>"
  created_at        timestamptz(3) NOT NULL,
  touched_at        timestamptz(3) NOT NULL,
  finished_at       timestamptz(3),
  resumed_at        timestamptz(3)
);
CREATE INDEX kills_unfinished ON kills (touched_at) WHERE state IN ('running', 'resuming');

-- Suspensions and quarantines are sets of causes, as holds are: an operator's own (suspension_id, quarantine_id) and those of kills. One is over when none is left.
ALTER TABLE owners ADD COLUMN kill_ids text[] NOT NULL DEFAULT '{}';
ALTER TABLE agents ADD COLUMN kill_ids text[] NOT NULL DEFAULT '{}';
ALTER TABLE instances ADD COLUMN kill_ids text[] NOT NULL DEFAULT '{}';
CREATE INDEX agents_killed ON agents USING gin (kill_ids) WHERE kill_ids <> '{}';

-- Several kills may stop the same.
ALTER TABLE issuance_stops DROP CONSTRAINT issuance_stops_pkey;
ALTER TABLE issuance_stops ADD PRIMARY KEY (kind, target, cause);

-- Renewal windows moved to now, for what was issued until then; a rule, so that ten thousand certificates cost one row.
CREATE TABLE renewal_steers (
  id              text PRIMARY KEY,
  selector        text NOT NULL CHECK (selector IN ('serial', 'instance', 'agent', 'owner', 'labels', 'issuer', 'profile', 'everything')),
  target          text NOT NULL,
  spread_seconds  integer NOT NULL CHECK (spread_seconds >= 0),
  explanation_url text,
  reason          text NOT NULL,
  created_by      text NOT NULL,
  created_at      timestamptz(3) NOT NULL,
  expires_at      timestamptz(3) NOT NULL
);
CREATE INDEX renewal_steers_expiry ON renewal_steers (expires_at);

-- Four octets a certificate and no order to keep: what an equality needs.
CREATE INDEX certificates_fingerprint ON certificates USING hash (fingerprint);
