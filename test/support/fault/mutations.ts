/**
 * Every race test is seen to fail with its lock taken out: `scripts/mutations.ts` runs each of them once more with SIGNET_TEST_MUTATION set, and
 * the fleet of that test then runs without the lock. Each mutation names the very text it takes out, so it cannot outlive what it is about.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { TestDatabase } from '../db.ts';
import { runSql, temporaryFolder } from '../postgres.ts';
import { rowsOf } from './sessions.ts';

/** A piece of text and what stands in its place. */
interface Change {
  from: string;
  to: string;
}

export interface Mutation {
  name: string;
  race: string;
  /** What is taken out, in words and place. */
  lock: string;
  /** The test that must fail: file below test/fault, and the beginning of its name. */
  test: { file: string; name: string };
  /** What it must say then: a failure for another reason shows nothing. */
  failure: RegExp;
  /** Changes of an SQL function, by its signature. */
  sqlFunction?: { signature: string; changes: Change[] };
  /** Statements run in the database once it is served. */
  sql?: string;
  /** Changes of the built program, by file below dist/. */
  program?: Record<string, Change[]>;
}

/** What the test's database asks of every change of state (every-change.ts): a mutation that adds a transaction is not to be found by that. */
const RECORDED = `{ name: 'recorded', text: "SELECT set_config('every_change.recorded', 'yes', true)" }`;
const COMMIT = 'commit_certificates(json)';
/** Believes that a commit has come about while it stands at its barrier. */
const IMPATIENT = `((queue) => ({
  submit: (row) => Promise.race([queue.submit(row), new Promise((resolve) => {
    const stands = () => process.getBuiltinModule('fs').existsSync(ctx.config.faultBarriersDir + '/issue.before-commit.reached');
    setInterval(() => stands() && resolve('committed'), 5).unref();
  })]),
}))`;
const UNCONFIRMED: NonNullable<Mutation['program']> = {
  'revocation/announce.js': [{ from: `await ctx.siblings.ask('certificates-changed', `, to: 'void ((...unsaid) => unsaid)(' }],
};
const RENEWAL_LOCKS: Change[] = [
  { from: 'ORDER BY s.id FOR UPDATE', to: 'ORDER BY s.id' },
  { from: 'ORDER BY o.serial FOR UPDATE', to: 'ORDER BY o.serial' },
];

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'commit-without-agent-lock',
    race: 'suspension against an enrollment in its commit',
    lock: 'FOR SHARE on the agents in commit_certificates',
    test: { file: 'suspend-issuance.test.ts', name: 'an enrollment in the middle of its commit' },
    failure: /"state": "good"/,
    sqlFunction: { signature: COMMIT, changes: [{ from: 'ORDER BY a.id FOR SHARE SKIP LOCKED', to: 'ORDER BY a.id' }] },
  },
  {
    name: 'commit-without-gate',
    race: 'a stop of all issuance against an enrollment in its commit',
    lock: 'the shared issuance gate in commit_certificates',
    test: { file: 'suspend-issuance.test.ts', name: 'a stop of everything' },
    failure: /-\s+"held",\n\s*\+\s+"good",/,
    sqlFunction: { signature: COMMIT, changes: [{ from: 'PERFORM pg_advisory_xact_lock_shared(7305, 1);', to: '' }] },
  },
  {
    name: 'quarantine-without-renewal-locks',
    race: 'quarantine against a renewal in its commit',
    lock: 'FOR UPDATE on the instance and on the presented certificate in commit_certificates',
    test: { file: 'suspend-issuance.test.ts', name: 'a renewal in the middle of its commit' },
    failure: /"state": "good"/,
    sqlFunction: { signature: COMMIT, changes: RENEWAL_LOCKS },
  },
  {
    name: 'kill-without-gate',
    race: 'a kill against an enrollment in its commit',
    lock: 'the exclusive issuance gate (revocation/kill.ts)',
    test: { file: 'kill-switch.test.ts', name: 'against an enrollment in the middle of its commit' },
    failure: /-\s+"held",\n\s*\+\s+"good",/,
    program: { 'revocation/kill.js': [{ from: 'await takeGateExclusively(tx);', to: '' }] },
  },
  {
    name: 'kill-few-without-gate',
    race: 'a kill of few against a registration in its commit',
    lock: 'the exclusive issuance gate in kill_few',
    test: { file: 'kill-switch.test.ts', name: 'a kill by labels against a registration in the middle of its commit' },
    failure: /Expected: "suspended"\s+Received: "active"/,
    sqlFunction: { signature: 'kill_few(text, text, text, text, text, text, integer, timestamptz, timestamptz, timestamptz, timestamptz, integer)', changes: [{ from: 'PERFORM pg_advisory_xact_lock(7305, 1);', to: '' }] },
  },
  {
    name: 'kill-certificates-before-states',
    race: 'a kill against an enrollment that waits for it',
    lock: 'the order of a kill: states first, certificates later (revocation/kill.ts)',
    test: { file: 'kill-switch.test.ts', name: 'in the middle of its own commit' },
    failure: /Expected: "(agent-suspended|issuance-stopped)"\s+Received: "[0-9a-f]{40}"/,
    program: {
      'revocation/kill.js': [
        { from: 'const hit = await changeStates(tx, started);', to: 'const hit = { owners: [], agents: [], instances: [], stop: undefined };' },
        { from: 'await finishKill(ctx, origin, started.id);', to: `await finishKill(ctx, origin, started.id); await inPipelinedTransaction(ctx.db, async (tx) => { await tx.run(${RECORDED}, []); await changeStates(tx, started); });` },
      ],
    },
  },
  {
    name: 'commit-without-token-lock',
    race: 'two uses of one join token, other keys',
    lock: 'FOR UPDATE on the join tokens in commit_certificates',
    test: { file: 'join-token.test.ts', name: 'two uses at once with different keys' },
    failure: /Expected: 1\s+Received: 2/,
    sqlFunction: { signature: COMMIT, changes: [{ from: 'ORDER BY t.id FOR UPDATE', to: 'ORDER BY t.id' }] },
  },
  {
    name: 'commit-without-token-check',
    race: 'two uses of one join token, same key',
    lock: 'the second look at the join token in commit_certificates, under its lock',
    test: { file: 'join-token.test.ts', name: 'two uses at once with the same key' },
    failure: /\+\s+"key-(not-fresh|in-use)"/,
    sqlFunction: { signature: COMMIT, changes: [{ from: `(t.id IS NULL OR t.used_at IS NOT NULL) THEN 'join-token-used'`, to: `t.id IS NULL THEN 'join-token-used'` }] },
  },
  {
    name: 'commit-without-renewal-locks',
    race: 'two renewals of one certificate',
    lock: 'FOR UPDATE on the instance and on the presented certificate in commit_certificates',
    test: { file: 'renewal.test.ts', name: 'two renewals of one certificate' },
    failure: /-\s+"revoked",\s+\+\s+"good",/,
    sqlFunction: { signature: COMMIT, changes: RENEWAL_LOCKS },
  },
  {
    name: 'publish-without-row-lock',
    race: 'two CRL publishers',
    lock: "the lock on the list's row while it is numbered, built and stored (db/crls.ts)",
    test: { file: 'crl.test.ts', name: '500 revocations' },
    failure: /\+\s+\d+,/,
    program: {
      'db/crls.js': [
        { from: 'FROM crls WHERE issuer_id = $1 AND shard = $2 FOR UPDATE', to: 'FROM crls WHERE issuer_id = $1 AND shard = $2' },
        { from: 'UPDATE crls SET number = number + 1 WHERE issuer_id = $1 AND shard = $2 RETURNING number', to: 'SELECT number + 1 AS number FROM crls WHERE issuer_id = $1 AND shard = $2' },
        { from: 'VALUES ($1, $2, $3, $4, $5)', to: 'VALUES ($1, $2, $3, $4, $5) ON CONFLICT (issuer_id, shard, number, part) DO UPDATE SET octets = excluded.octets' },
        { from: 'UPDATE crls SET this_update = $4,', to: 'UPDATE crls SET number = $3, this_update = $4,' },
        { from: 'WHERE issuer_id = $1 AND shard = $2 AND number = $3 RETURNING latest_end', to: 'WHERE issuer_id = $1 AND shard = $2 RETURNING latest_end' },
      ],
    },
  },
  {
    name: 'audit-numbers-from-a-sequence',
    race: 'an audit reader under 16 writers',
    lock: "the counter row that holds an audit number to its commit (here: a sequence behind a view)",
    test: { file: 'audit-reader.test.ts', name: 'a reader that follows the cursor' },
    failure: /\+\s+"(wide|narrow|filtered)": Array \[\s+\+\s+\d+,/,
    sql: `
      CREATE SEQUENCE audit_numbers;
      SELECT setval('audit_numbers', (SELECT greatest(value, 1) FROM counters WHERE name = 'audit'));
      ALTER TABLE counters RENAME TO real_counters;
      CREATE VIEW counters AS
        SELECT name, CASE name WHEN 'audit' THEN (SELECT last_value FROM audit_numbers) ELSE value END AS value FROM real_counters;
      CREATE FUNCTION take_numbers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        IF NEW.name = 'audit' THEN
          FOR i IN 1 .. NEW.value - OLD.value LOOP NEW.value := nextval('audit_numbers'); END LOOP;
        ELSE
          UPDATE real_counters SET value = NEW.value WHERE name = NEW.name;
        END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER take_numbers INSTEAD OF UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION take_numbers();
      GRANT SELECT, UPDATE ON counters TO PUBLIC;`,
  },
  {
    name: 'answer-before-commit',
    race: 'kill -9 at the steps of an issuance',
    lock: 'waiting for the commit before the answer (issuance/issue-certificate.ts, steps 7 and 8)',
    test: { file: 'kill-issuance.test.ts', name: 'kill -9 at issue:before-commit' },
    failure: /"acknowledged and lost": Array \[\s+\+\s+"[0-9a-f]{40}"/,
    program: {
      'issuance/issue-certificate.js': [{ from: 'const verdict = await ctx.commits.submit(', to: `const verdict = await ${IMPATIENT}(ctx.commits).submit(` }],
    },
  },
  {
    name: 'revoke-without-transaction',
    race: 'kill -9 at the steps of a revocation',
    lock: 'the one transaction of state change, feed and audit (revocation/revoke-certificate.ts)',
    test: { file: 'kill-revocation.test.ts', name: 'kill -9 at revoke:before-commit' },
    failure: /\+\s+"revocations that the feed or the audit log lacks"/,
    program: {
      'revocation/revoke-certificate.js': [{ from: 'async function change(ctx, origin, what, apply) {', to: 'async function change(ctx, origin, what, apply) { const inTransaction = (db, work) => work(db);' }],
    },
  },
  {
    name: 'start-without-lock',
    race: 'two first starts on an empty database',
    lock: 'the start lock around migrations and first start (db/start-lock.ts)',
    test: { file: 'first-start.test.ts', name: 'two replicas meet at the first admin token' },
    failure: /before it was ready|\+\s+"admin token": 2/,
    program: { 'db/start-lock.js': [{ from: `'SELECT pg_advisory_lock($1, $2)'`, to: `'SELECT $1::int, $2::int'` }] },
  },
  {
    name: 'revoke-unconfirmed',
    race: 'a revocation acknowledged by one worker against an answer of the other',
    lock: 'the confirmation of the other workers (revocation/announce.ts)',
    test: { file: 'sibling-confirmation.test.ts', name: 'a revocation acknowledged by one worker' },
    failure: /\+\s+"said": "good"/,
    program: UNCONFIRMED,
  },
  {
    name: 'lists-unannounced',
    race: 'a new list served by one worker against the old one of the other',
    lock: 'the confirmation of the other workers (revocation/crl/crl-store.ts)',
    test: { file: 'sibling-confirmation.test.ts', name: 'the numbers of a list' },
    failure: /-\s+(\d+),[\s\S]*\+\s+(\d+),/,
    program: { 'revocation/crl/crl-store.js': [{ from: `await siblings.ask('list-served', `, to: 'void ((...unsaid) => unsaid)(' }] },
  },
  {
    name: 'revoke-beside-a-standing-worker',
    race: 'a revocation against a worker that stands still',
    lock: 'the time that the confirmation of a silent worker is waited for (revocation/announce.ts)',
    test: { file: 'sibling-confirmation.test.ts', name: 'a worker that stands still' },
    failure: /\+\s+"said": "good"/,
    program: UNCONFIRMED,
  },
  {
    name: 'revoke-token-unconfirmed',
    race: 'a token revoked through one worker against its use at the other',
    lock: 'the confirmation of the other workers (admins/announce.ts)',
    test: { file: 'sibling-confirmation.test.ts', name: 'a token revoked through one worker' },
    failure: /-\s+401,\n\s*\+\s+200,/,
    program: { 'admins/announce.js': [{ from: `await ctx.siblings.ask('credential-changed', `, to: 'void ((...unsaid) => unsaid)(' }] },
  },
];

const active = MUTATIONS.find(({ name }) => name === process.env.SIGNET_TEST_MUTATION);
if (process.env.SIGNET_TEST_MUTATION !== undefined && !active) throw new Error(`there is no mutation ${process.env.SIGNET_TEST_MUTATION}`);

/** The source with each change made. @throws Error when the text to change does not stand there exactly once: the mutation is out of date */
export function changed(source: string, changes: readonly Change[], where: string): string {
  return changes.reduce((text, { from, to }) => {
    const parts = text.split(from);
    if (parts.length !== 2) throw new Error(`${where} has ${parts.length - 1} times what a mutation changes: ${from}`);
    return parts.join(to);
  }, source);
}

/** The lock of a mutation (by default: of this run) is taken out of a database, when it is there. */
export async function mutateDatabase(database: TestDatabase, { sqlFunction, sql }: Pick<Mutation, 'sqlFunction' | 'sql'> = active ?? {}): Promise<void> {
  if (sqlFunction) {
    const { signature, changes } = sqlFunction;
    const [row] = await rowsOf<{ source: string }>(database, 'SELECT pg_get_functiondef($1::regprocedure) AS source', [signature]);
    await runSql(database.ownerUrl, changed(row?.source ?? '', changes, signature));
  }
  if (sql !== undefined) await runSql(database.ownerUrl, sql);
}

const ROOT = path.resolve(import.meta.dirname, '../../..');

/** The built program with these changes made: a copy with its own dist/. Returns its folder, which is the caller's to remove. @throws Error when a text to change is not in it */
export function copyProgram(changes: NonNullable<Mutation['program']>): string {
  const folder = temporaryFolder('signet-mutant-');
  fs.cpSync(path.join(ROOT, 'dist'), path.join(folder, 'dist'), { recursive: true });
  for (const shared of ['node_modules', 'prisma', 'package.json']) fs.symlinkSync(fs.realpathSync(path.join(ROOT, shared)), path.join(folder, shared));
  for (const [file, changesOfFile] of Object.entries(changes)) {
    const at = path.join(folder, 'dist', file);
    fs.writeFileSync(at, changed(fs.readFileSync(at, 'utf8'), changesOfFile, file));
  }
  return folder;
}

let folder: string | undefined;

/** The built program without the lock of this run. Undefined: the program as it is. */
export function mutatedProgram(): string | undefined {
  if (!active?.program) return undefined;
  folder ??= copyProgram(active.program);
  return path.join(folder, 'dist/main.js');
}

/** Removes what `mutatedProgram` made. */
export function discardProgram(): void {
  if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  folder = undefined;
}
