/**
 * Every state change writes an audit event in its own transaction (DESIGN invariant 10): in the databases of tests, a transaction of the product that changes a table of state
 * and commits without one fails. So every suite that runs a use case or the program is a test of it.
 */

/** What counts in an update; every insert and delete counts. `all`: each column; `but`: each except these. */
type Columns = 'all' | { but: Record<string, string> };

/** Tables of state. The columns left out say why they are none. */
export const STATE_TABLES: Readonly<Record<string, Columns>> = {
  cluster: { but: { database_identity: 'where the tables are, noted at a start; a change of it stops the next one' } },
  authority_certificates: 'all',
  owners: 'all',
  agents: 'all',
  instances: 'all',
  certificates: { but: { presented_at: 'that a certificate was used, not what became of it' } },
  public_keys: 'all',
  issuance_stops: 'all',
  join_tokens: 'all',
  findings: 'all',
  feed_events: 'all',
  audit_logs: 'all',
  kills: { but: { position: 'how far it is: a step over agents that hold nothing changes only this', touched_at: 'a sign of life of whoever carries it out' } },
  renewal_steers: 'all',
  admin_tokens: { but: { last_used_at: 'use, kept to the minute' } },
  relying_parties: 'all',
  relying_party_certificates: 'all',
  enforcement_points: {
    but: Object.fromEntries(['epoch', 'lease_n', 'lease_from', 'lease_until', 'applied_n', 'applied_at', 'left_at'].map((column) => [column, 'a lease, renewed every few seconds; leaving it is an event'])),
  },
  worlds: 'all',
  carried_revocations: 'all',
};

/** The other tables, and why a change of them is no change of state. */
export const OTHER_TABLES: Readonly<Record<string, string>> = {
  _prisma_migrations: 'the schema; an owner at the command line',
  counters: 'numbers of the feed and of the audit log itself',
  key_encryption_keys: 'what the key is known by, noted before there is a cluster',
  keystore_keys: 'a key is of use with its certificate, whose event names it; authority.change-begun stands before it, and what never got a certificate is cleared with an event',
  crls: 'rows are made with their issuer; what is published in them is crl.published, and what is due follows from the feed',
  crl_parts: 'octets of a published list; older ones go with the next',
  audit_events: 'the log', audit_personal: 'beside the log; erasure is an event', audit_leaf_hashes: 'the log; a purge is an event',
  audit_trees: 'hashed from the log', audit_tiles: 'hashed from the log', audit_tree_edges: 'hashed from the log', audit_checkpoints: 'signed over the log; old ones go with an event',
  audit_cosignatures: 'what witnesses say of checkpoints', audit_witnesses: 'how far witnesses are', audit_sequencer: 'a lease',
  enforcement_leases: 'leases that ran out', feed_acknowledgements: 'how far readers are',
  idempotency_records: 'a cache of answers', job_runs: 'leases of jobs',
  certificate_expiries: 'counted from the log', certificate_numbers: 'counted from the log',
};

/** Connections of the product, whoever opened them: what a test writes by itself, over its own, is no change of Signet's. */
export const PRODUCT = 'signet';

const SCHEMA = 'every_change';
/** Asked before a row is remembered for the commit: what tests write in bulk costs next to nothing. */
const IS_PRODUCT = `current_setting('application_name') LIKE '${PRODUCT}%'`;

/** SQL that makes the check, as the owner of the tables. */
export function everyChangeSql(columnsOf: (table: string) => readonly string[]): string {
  const triggers = Object.entries(STATE_TABLES).map(([table, counting]) => {
    const columns = counting === 'all' ? [] : columnsOf(table).filter((column) => !(column in counting.but));
    const update = columns.length === 0 ? 'OLD.* IS DISTINCT FROM NEW.*' : columns.map((column) => `OLD.${column} IS DISTINCT FROM NEW.${column}`).join(' OR ');
    const check = 'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW';
    return `
      CREATE CONSTRAINT TRIGGER every_change AFTER INSERT OR DELETE ON ${table} ${check} WHEN (${IS_PRODUCT}) EXECUTE FUNCTION ${SCHEMA}.assert_recorded();
      CREATE CONSTRAINT TRIGGER every_change_update AFTER UPDATE ON ${table} ${check} WHEN (${IS_PRODUCT} AND (${update})) EXECUTE FUNCTION ${SCHEMA}.assert_recorded();`;
  });
  return `
    CREATE SCHEMA ${SCHEMA};
    GRANT USAGE ON SCHEMA ${SCHEMA} TO PUBLIC;
    CREATE FUNCTION ${SCHEMA}.note_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM set_config('every_change.recorded', 'yes', true);
      RETURN NULL;
    END $$;
    CREATE TRIGGER every_change AFTER INSERT ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION ${SCHEMA}.note_recorded();
    CREATE FUNCTION ${SCHEMA}.assert_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF current_setting('every_change.recorded', true) IS DISTINCT FROM 'yes' THEN
        RAISE EXCEPTION 'a change of state without an audit event: % of %', TG_OP, TG_TABLE_NAME USING ERRCODE = 'SGN00';
      END IF;
      RETURN NULL;
    END $$;
    ${triggers.join('')}`;
}
