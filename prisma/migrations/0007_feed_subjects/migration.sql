-- The feed also tells of owners and of wide stops, and which kill an event belongs to.
ALTER TABLE feed_events
  ADD COLUMN owner_id text,
  ADD COLUMN stop     text,  -- everything, issuer:<id> or profile:<name>
  ADD COLUMN kill_id  text;
ALTER TABLE feed_events DROP CONSTRAINT feed_events_kind_check;
ALTER TABLE feed_events ADD CONSTRAINT feed_events_kind_check CHECK (kind IN (
  'revoked', 'held', 'released', 'agent-suspended', 'agent-resumed', 'agent-retired', 'instance-quarantined', 'instance-released', 'instance-revoked',
  'owner-suspended', 'owner-resumed', 'issuance-stopped', 'issuance-resumed')) NOT VALID;
