import type { LocalCommand } from './local-command.ts';

const string = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

/**
 * THE table of commands that work on this machine's installation, with the configuration of the service. Each is loaded when it runs: database, key store and configuration take
 * longer to load than the help of all commands.
 */
export const LOCAL_COMMANDS: readonly LocalCommand[] = [
  {
    name: 'config check',
    usage: '',
    summary: 'Read the configuration as the service would and print every fault and warning',
    example: 'signet config check',
    load: async () => (await import('./config-check.ts')).runConfigCheck,
  },
  {
    name: 'migrate',
    usage: '[--check]',
    summary: 'Bring the database to the schema of this Signet, as its owner; the service may be running or not',
    example: 'signet migrate --check',
    options: { check: { type: 'boolean' } },
    help: { check: 'change nothing; exit code 1 when something is to be applied' },
    refusal: 'something is to be applied (--check)',
    load: async () => (await import('./migrate.ts')).runMigrate,
  },
  {
    name: 'backup',
    usage: '--out <file>',
    summary: 'Write the whole database as of one moment to a file; the service may be running or not. The key-encryption key is NOT in it',
    example: 'signet backup --out /var/backups/signet-2026-11-21.backup',
    options: { out: string },
    help: { out: 'file to make, with mode 0600; one that is there is left as it is' },
    refusal: 'the file is there already',
    load: async () => (await import('./backup.ts')).runBackup,
  },
  {
    name: 'backup verify',
    usage: '<file>',
    summary: 'Read a backup to its end, compare its SHA-256, and say what is in it',
    example: 'signet backup verify /var/backups/signet-2026-11-21.backup',
    positionals: ['file'],
    refusal: 'it is not a whole backup',
    load: async () => (await import('./backup.ts')).runBackupVerify,
  },
  {
    name: 'restore',
    usage: '--from <file>',
    summary: 'Load a backup into an empty database; after it, signet admin recover --restored is needed before the service starts',
    example: 'signet restore --from /var/backups/signet-2026-11-21.backup',
    options: { from: { type: 'string' } },
    help: { from: 'file that signet backup made' },
    refusal: 'the file is not a whole backup, or the database is not empty; nothing was changed',
    load: async () => (await import('./restore.ts')).runRestore,
  },
  {
    name: 'admin recover',
    usage: '--out <file> [--revoke-others] | --restored [--crl <file>]... [--unproven] | --moved',
    summary: 'Make a new admin token; or, of a database that was set back (a restored backup, a failover), a new world in which nothing revoked is good',
    example: 'signet admin recover --restored --crl ./published-today.crl',
    options: { out: string, 'revoke-others': flag, restored: flag, crl: { type: 'string', multiple: true }, unproven: flag, moved: flag },
    help: {
      out: 'file for a new admin token, made with mode 0600',
      'revoke-others': 'revoke every other token of role admin; those of other roles stay (signet admin-token list)',
      restored: 'the database is an older world: end join tokens, replay the revocations of published lists, move CRL numbers on, begin the next epoch',
      crl: 'a list that was published since (DER or PEM), besides the copies in SIGNET_CRL_COPY_DIR; may be repeated',
      unproven: 'with --restored: nothing shows that the database was set back, but it was',
      moved: 'the tables were copied here while Signet was stopped, and nothing was lost',
    },
    refusal: 'there is nothing to recover, or the evidence cannot be used; nothing was changed',
    load: async () => (await import('./recover.ts')).runRecover,
  },
  {
    name: 'audit purge',
    usage: '--before <date> [--yes]',
    summary:
      'Delete audit events older than a date, as the role that owns the tables. Their numbers and SHA-256 leaf hashes (RFC 6962) stay, so that what is left, and evidence made before, can still be checked; ' +
      'personal fields of these events go for good. Every batch is recorded in the audit log itself. Interrupted, it goes on where it was when started again',
    example: 'signet audit purge --before 2026-01-01 --yes',
    options: { before: { type: 'string' }, yes: { type: 'boolean' } },
    help: { before: '2026-01-31, or with a time: 2026-01-31T12:00:00Z', yes: 'delete; without it nothing is deleted, and it says what would be' },
    refusal: 'another purge is under way',
    load: async () => (await import('./audit-purge.ts')).runAuditPurge,
  },
  {
    name: 'audit erase',
    usage: '--email <address> [--yes]',
    summary:
      'Erase a person, known by an e-mail address, as the role that owns the tables: the fields beside audit events that hold it, the owner and deputies of that address, and texts that mention it. ' +
      'No audit event changes: the salted hashes in them stay, so that the log, and evidence made before, can still be checked. The erasure is recorded in the audit log, without the address',
    example: 'signet audit erase --email ada@example.org --yes',
    options: { email: { type: 'string' }, yes: { type: 'boolean' } },
    help: { email: 'the address, in any case of letters', yes: 'erase; without it nothing is erased, and it says what would be' },
    refusal: 'the person is still the owner or deputy of something in use',
    load: async () => (await import('./audit-erase.ts')).runAuditErase,
  },
  {
    name: 'audit restart-log',
    usage: '--reason <text>',
    summary:
      'End the Merkle log over the audit events and begin another one, with a name and a key of its own, over a tree built anew from the events: after it has stopped and somebody has looked into it, or to change its key. ' +
      'What the ended log has signed stays where it was copied to. The service may be running or not',
    example: 'signet audit restart-log --reason "the tree was edited by hand; incident 4711"',
    options: { reason: string },
    help: { reason: 'why, in one line: it stands in the log' },
    refusal: 'there is no Signet in this database',
    load: async () => (await import('./audit-restart.ts')).runAuditRestart,
  },
  {
    name: 'audit verify',
    usage: '[--checkpoint <file>]... [--log-key <key>]... [--from <address or folder>] [--state <file>]',
    summary:
      'Judge the whole audit log: every event against the tree, the tree against every checkpoint that was kept. Says what was edited, deleted, inserted, reordered, cut off or forked, with index and time. ' +
      'Without --from it reads the database of this installation; the service may be running or not',
    example: 'signet audit verify --checkpoint /var/lib/signet/log-copies --log-key ./log.vkey',
    options: { checkpoint: { type: 'string', multiple: true }, 'log-key': { type: 'string', multiple: true }, from: string, state: string },
    help: {
      checkpoint: 'checkpoint that was kept, or a folder of them (SIGNET_AUDIT_COPY_DIR); may be repeated',
      'log-key': 'verifier key that the log signs with, or a file with it; without it the keys are those that the database names. May be repeated: a log that was begun anew has another key',
      from: 'read tiles instead of the database: the address of the status door (events with the API token of SIGNET_TOKEN_FILE), or a folder with a copy',
      state: 'file that remembers how far nothing was found: the next run goes on from there',
    },
    refusal: 'something is wrong with the log',
    load: async () => (await import('./audit-verify.ts')).runAuditVerify,
  },
];
