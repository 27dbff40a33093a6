-- Relying parties: who may ask for status, who answers for them, and the credentials they ask with.
-- Lock order: owners → relying_parties → relying_party_certificates, admin_tokens (by id) → audit counter.
CREATE TABLE relying_parties (
  id           text PRIMARY KEY,
  name         text NOT NULL UNIQUE,
  state        text NOT NULL CHECK (state IN ('active', 'disabled')),
  state_reason text,
  owner_id     text NOT NULL REFERENCES owners (id),
  may_ask      text[] NOT NULL CHECK (cardinality(may_ask) > 0 AND may_ask <@ ARRAY['status', 'identity']),
  version      integer NOT NULL DEFAULT 1,
  created_at   timestamptz(3) NOT NULL,
  updated_at   timestamptz(3) NOT NULL
);
CREATE INDEX relying_parties_owner ON relying_parties (owner_id);

-- Client certificates of any CA, pinned by the SHA-256 of the whole DER: one certificate speaks for one relying party.
CREATE TABLE relying_party_certificates (
  id               text PRIMARY KEY,
  relying_party_id text NOT NULL REFERENCES relying_parties (id),
  fingerprint      bytea NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
  subject          text NOT NULL,
  issuer           text NOT NULL,
  not_before       timestamptz(3) NOT NULL,
  not_after        timestamptz(3) NOT NULL,
  created_at       timestamptz(3) NOT NULL
);
CREATE INDEX relying_party_certificates_party ON relying_party_certificates (relying_party_id);

-- scopes: permissions separated by blanks, as in RFC 6749 §3.3; null: all of the role. A list would make "none" and "not narrowed" the same for the service's
-- query language. Tokens of role relying-party made before this migration belong to no relying party, and keep working.
-- predecessor_id, successor_id: rotation; unique, so that two rotations of one token cannot both stand.
ALTER TABLE admin_tokens
  ADD COLUMN scopes           text CHECK (scopes ~ '^[a-z-]+:[a-z]+( [a-z-]+:[a-z]+)*$'),
  ADD COLUMN predecessor_id   text UNIQUE,
  ADD COLUMN successor_id     text UNIQUE,
  ADD COLUMN relying_party_id text REFERENCES relying_parties (id),
  ADD CONSTRAINT admin_tokens_relying_party_role CHECK (relying_party_id IS NULL OR role = 'relying-party');
CREATE INDEX admin_tokens_relying_party ON admin_tokens (relying_party_id) WHERE relying_party_id IS NOT NULL;
