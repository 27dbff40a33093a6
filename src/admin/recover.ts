import path from 'node:path';
import { StartupError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { createSystemRandom, type Random } from '../core/random.ts';
import { makeAdminToken } from '../admins/secret.ts';
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import { crlCopyDirOf } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { insertAdminToken, lockUsableAdmins, markAdminTokenRevoked } from '../db/admin-tokens.ts';
import { inTransaction, type Db } from '../db/client.ts';
import { migrate } from '../db/migrate.ts';
import { withStartLock } from '../db/start-lock.ts';
import { noteDatabaseIdentity, readDatabaseIdentity, readStanding } from '../db/worlds.ts';
import { openKeyStore, resolveKek } from '../keystore/index.ts';
import { text, texts, UsageError, type CommandInput } from '../cli/command.ts';
import { listCopies, readEvidence, type EvidenceList } from './crl-evidence.ts';
import { fileBarriers } from './fault-barriers.ts';
import { EXIT, Refused, type LocalRun, type LocalContext } from './local-command.ts';
import { withLocalDatabase, withOwner } from './local-database.ts';
import { recoverRestored, type Recovery } from './recover-restored.ts';
import { writeSecretFile } from './secret-file.ts';
import { findSetBacks, type SetBack } from './world-check.ts';
import { writeWorldFile } from './world-file.ts';

const ORIGIN: Origin = { actor: { kind: 'command', id: 'recover' }, credential: { kind: 'database-owner' }, requestId: null, source: null };

/** `signet admin recover`: the way back in for whoever has the machine, the database and the key-encryption key. */
export const runRecover: LocalRun = async (local, input) => {
  const wanted = parse(input);
  const config = local.config();
  const random = createSystemRandom();
  return withLocalDatabase(config, local.log, (database) =>
    withStartLock(database.ownerUrl, async () => {
      await migrate(database.ownerUrl);
      await database.ensureServiceRole();
      return withOwner(database, async (ownerDb) => {
        if (!(await readStanding(ownerDb))) throw new Refused('no Signet was ever started on this database', 'start it: the first start makes an admin token');
        // Whoever cannot open the keys has no business here; nothing is made or noted for a key that is not the one.
        await openKeyStore({ db: ownerDb, random, clock: systemClock, log: local.log }, resolveKek(config, database.embedded));
        const found = await findSetBacks({ config, db: ownerDb, ownerDb, log: local.log });
        const recovery = wanted.restored ? await makeNewWorld(local, { config, ownerDb, random }, wanted, found) : undefined;
        if (wanted.moved) await takeOver(ownerDb, random, found);
        if (!wanted.restored && !wanted.moved && found.length > 0) throw new Refused(`the database was set back: ${found.map(({ says }) => says).join('; ')}`, 'signet admin recover --restored first (it takes --out as well)');
        const token = wanted.out === undefined ? undefined : await makeToken(ownerDb, random, config.adminTokenTtlSeconds, wanted.out, wanted.revokeOthers);
        const standing = await readStanding(ownerDb);
        if (standing && (wanted.restored || wanted.moved)) writeWorldFile(config.dataDir, standing);
        local.show({ ...(recovery && { recovery }), ...(wanted.moved && { moved: true }), ...token }, said(recovery, wanted.moved, token));
        return EXIT.ok;
      });
    }),
  );
};

interface Wanted {
  out: string | undefined;
  revokeOthers: boolean;
  restored: boolean;
  moved: boolean;
  unproven: boolean;
  crls: string[];
}

function parse(input: CommandInput): Wanted {
  const given = (name: string): boolean => input.values[name] === true;
  const out = text(input, 'out');
  const wanted = { out: out && path.resolve(out), revokeOthers: given('revoke-others'), restored: given('restored'), moved: given('moved'), unproven: given('unproven'), crls: (texts(input, 'crl') ?? []).map((file) => path.resolve(file)) };
  if (!wanted.restored && !wanted.moved && wanted.out === undefined) throw new UsageError('--out is needed: the file for the new admin token');
  if (wanted.restored && wanted.moved) throw new UsageError('--restored and --moved exclude each other');
  if (wanted.revokeOthers && wanted.out === undefined) throw new UsageError('--revoke-others needs --out: without a new token nobody could get in');
  if (!wanted.restored && (wanted.crls.length > 0 || wanted.unproven)) throw new UsageError('--crl and --unproven belong to --restored');
  return wanted;
}

interface Site {
  config: Config;
  ownerDb: Db;
  random: Random;
}

async function makeNewWorld(local: LocalContext, { config, ownerDb, random }: Site, { crls, unproven }: Wanted, found: readonly SetBack[]): Promise<Recovery> {
  const given = await readEvidence(ownerDb, crls);
  const [bad] = given.unusable;
  if (bad) throw new Refused(`${bad.file} is of no use: ${bad.why}`, 'leave it out, or give another one');
  const copies = await readEvidence(ownerDb, listCopies(crlCopyDirOf(config)));
  if (found.length === 0 && !unproven) {
    throw new Refused('nothing shows that this database was set back', 'nothing is to be done; if you know that it was (a snapshot of a disk was put back), add --unproven');
  }
  const evidence: EvidenceList[] = [...given.lists, ...copies.lists];
  const says = found.length > 0 ? found.map((one) => one.says) : ['an operator said so'];
  if (evidence.length === 0) local.log.warn('no list from outside the database was found: what was revoked in the lost window is good again unless you revoke it again');
  return recoverRestored({ ownerDb, clock: systemClock, random, barrier: fileBarriers(config.faultBarriersDir) }, ORIGIN, evidence, says);
}

/** The tables are where they should be now. @throws Refused when more than their place shows that the database is another one */
async function takeOver(ownerDb: Db, random: Random, found: readonly SetBack[]): Promise<void> {
  const more = found.filter(({ kind }) => kind !== 'moved');
  if (more.length > 0) throw new Refused(`the database was set back: ${more.map(({ says }) => says).join('; ')}`, 'signet admin recover --restored');
  if (found.length === 0) throw new Refused('the tables of this database are where they always were', 'nothing is to be done');
  const identity = await readDatabaseIdentity(ownerDb);
  await inTransaction(ownerDb, async (tx) => {
    if (identity !== undefined) await noteDatabaseIdentity(tx, identity);
    await appendAudit({ random }, tx, ORIGIN, systemClock.now(), { kind: 'world.moved', outcome: 'success', detail: { says: 'copied with nothing lost, as an operator said' } });
  });
}

interface MadeToken {
  id: string;
  file: string;
  /** Ids of the admin tokens that were revoked. */
  revoked: string[];
}

/** The file is there before the token counts: a crash between the two leaves a useless file, never an unknown token. */
async function makeToken(ownerDb: Db, random: Random, ttlSeconds: number, file: string, revokeOthers: boolean): Promise<MadeToken> {
  const now = systemClock.now();
  const { id, token, secretHash } = makeAdminToken(now, random);
  const expiresAt = new Date(now.getTime() + ttlSeconds * 1000);
  writeSecretFile(file, `${token}\n`);
  return inTransaction(ownerDb, async (tx) => {
    const others = revokeOthers ? await lockUsableAdmins(tx, now) : [];
    for (const other of others) await markAdminTokenRevoked(tx, other, now);
    await insertAdminToken(tx, { id, name: 'recovered', role: 'admin', secretHash, expiresAt }, now);
    const revoked = others.map((other): AuditEvent => ({ kind: 'admin-token.revoked', outcome: 'success', target: other, detail: { replacedBy: id } }));
    await appendAudit({ random }, tx, ORIGIN, now, ...revoked, { kind: 'admin-token.created', outcome: 'success', target: id, detail: { name: 'recovered', role: 'admin', expiresAt: expiresAt.toISOString() } });
    return { id, file, revoked: others };
  }).catch((error: unknown) => {
    throw new StartupError(`no admin token was made (the token in ${file} is of no use): ${(error as Error).message}`, 69, error);
  });
}

function said(recovery: Recovery | undefined, moved: boolean, token: MadeToken | undefined): string {
  const parts: string[] = [];
  if (moved) parts.push('the database is taken as it is, as one that lost nothing\n');
  if (recovery) parts.push(describe(recovery));
  if (token) parts.push(`admin token ${token.id} is in ${token.file} (only you can read it)\n${token.revoked.length > 0 ? `revoked: ${token.revoked.join(', ')}\n` : ''}`);
  return parts.join('\n');
}

function describe(recovery: Recovery): string {
  const { epoch, lostFrom, lostTo, lastEvidence, revoked, held, carried, joinTokensVoided, agents, authoritiesRevoked } = recovery;
  return [
    `This is epoch ${epoch} now. The service can start.`,
    `  lost window         ${lostFrom.toISOString()} to ${lostTo.toISOString()}`,
    `  evidence until      ${lastEvidence?.toISOString() ?? 'none: what was revoked in the lost window is good again unless you revoke it again'}`,
    `  revoked again       ${revoked}, held again ${held}, of certificates this database does not know ${carried}`,
    `  join tokens ended   ${joinTokensVoided}`,
    ...authoritiesRevoked.map(({ id, kind }) => `  REVOKED AUTHORITY   ${id} (${kind}): rotate it`),
    ...(agents.length > 0 ? [`  look at these agents, whose state is that of the backup: ${agents.join(', ')}`] : []),
    'Also as they were at the beginning of the lost window: states of agents and instances, owners, profiles, API tokens that were revoked or made in it. Look at them',
    '(signet agent list, signet admin-token list). Certificates issued in it are unknown: their agents enroll again, with new join tokens.',
    '',
  ].join('\n');
}
