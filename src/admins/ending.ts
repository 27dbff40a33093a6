import type { Context } from '../context.ts';
import { endOfUnlimitedAdmins } from '../db/admin-tokens.ts';

const MS_PER_DAY = 86_400_000;

/** What is said when within `adminTokenWarnDays` nobody will be able to make every API token; undefined while somebody will. */
export async function endingAdmins(ctx: Pick<Context, 'db' | 'config'>, now: Date): Promise<string | undefined> {
  const end = await endOfUnlimitedAdmins(ctx.db, now);
  if (end === undefined) return 'no API token of role admin is usable: make one with `signet admin recover` on the machine itself';
  if (end === null || end.getTime() - now.getTime() >= ctx.config.adminTokenWarnDays * MS_PER_DAY) return undefined;
  return `the last API token of role admin ends at ${end.toISOString()}: rotate it (\`signet admin-token rotate --self\`), or make another, in time`;
}
