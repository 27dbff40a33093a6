import type { Context } from '../context.ts';
import { endlessTokens, endOfUnlimitedAdmins } from '../db/admin-tokens.ts';

const MS_PER_DAY = 86_400_000;

/** What is said when within `adminTokenWarnDays` nobody will be able to make every API token; undefined while somebody will. */
export async function endingAdmins(ctx: Pick<Context, 'db' | 'config'>, now: Date): Promise<string | undefined> {
  const end = await endOfUnlimitedAdmins(ctx.db, now);
  if (end === undefined) return 'no API token of role admin is usable: make one with `signet admin recover` on the machine itself';
  if (end === null || end.getTime() - now.getTime() >= ctx.config.adminTokenWarnDays * MS_PER_DAY) return undefined;
  return `the last API token of role admin ends at ${end.toISOString()}: rotate it (\`signet admin-token rotate --self\`), or make another, in time`;
}

const NAMED = 3;

/** What is said while tokens without an end are usable, as earlier versions made them; undefined without one. */
export async function endlessCredentials(ctx: Pick<Context, 'db'>): Promise<string | undefined> {
  const { count, names } = await endlessTokens(ctx.db, NAMED);
  if (count === 0) return undefined;
  return `${count === 1 ? '1 API token has' : `${count} API tokens have`} no end (${names.join(', ')}${count > names.length ? ', …' : ''}), as an earlier version made them: rotate each, which gives it one, or revoke it`;
}
