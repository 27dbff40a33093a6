-- A list is stored in parts: nothing that builds, stores or serves one of a million entries needs a buffer of 50 MB.
-- Their octets, one part after the other, are the CertificateList. Parts of the newest number are the list; older ones go when a newer list is stored.
CREATE TABLE crl_parts (
  issuer_id text NOT NULL,
  shard     integer NOT NULL,
  number    bigint NOT NULL,
  part      integer NOT NULL,           -- from 0
  octets    bytea NOT NULL,
  PRIMARY KEY (issuer_id, shard, number, part),
  FOREIGN KEY (issuer_id, shard) REFERENCES crls (issuer_id, shard) ON DELETE CASCADE
);
-- Serials are random: compression would look at every octet and gain nothing.
ALTER TABLE crl_parts ALTER COLUMN octets SET STORAGE EXTERNAL;
INSERT INTO crl_parts
  SELECT issuer_id, shard, number, i, substr(der, i * 1048576 + 1, 1048576)
  FROM crls, generate_series(0, (octet_length(der) - 1) / 1048576) AS i WHERE der IS NOT NULL;

ALTER TABLE crls
  ADD COLUMN octets   integer,          -- length of the stored list; NULL: there is none
  ADD COLUMN build_ms integer NOT NULL DEFAULT 0, -- what building and storing it took
  ADD COLUMN stored_at timestamptz(3);  -- by the clock of the database, which all publishers share
UPDATE crls SET octets = octet_length(der);
ALTER TABLE crls DROP COLUMN der;

-- Everything that a list says of a certificate is in the index: reading a list touches no row of the table (an index-only scan), where each
-- revoked certificate cost a page of its own before.
CREATE INDEX certificates_listed ON certificates (issuer_id, shard, serial) INCLUDE (bucket, not_after, revoked_at, revocation_reason, held_at)
  WHERE revoked_at IS NOT NULL OR held_at IS NOT NULL;
DROP INDEX certificates_not_good;
