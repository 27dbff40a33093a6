-- The latest nextUpdate that any list of this name was published with. A newer list may end before an older one (crlValiditySeconds was lowered), and after a recovery there is none in force:
-- until when somebody may believe an older list is told by neither.
ALTER TABLE crls ADD COLUMN latest_end timestamptz(3);
UPDATE crls SET latest_end = next_update;
