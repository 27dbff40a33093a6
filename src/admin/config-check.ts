import { readFileSync } from 'node:fs';
import { formatValue } from '../config/document.ts';
import type { Environment } from '../config/environment.ts';
import { configWarnings, loadConfig } from '../config/load.ts';
import { CONFIG_KEYS, configSchema, environmentName, type Config } from '../config/schema.ts';
import { StartupError } from '../core/errors.ts';
import { redactSecrets } from '../core/log.ts';
import { resolveKek } from '../keystore/index.ts';
import { loadProfiles, ProfileError } from '../profiles/profile.ts';
import { EXIT, type LocalRun } from './local-command.ts';

export const runConfigCheck: LocalRun = (local) => {
  const said: string[] = [];
  const code = configCheck(local.io.env, { write: (text) => said.push(text) });
  local.show({ valid: code === EXIT.ok, said: said.map((line) => line.trim()) }, said.join(''));
  return code;
};

/** Where a command writes, such as process.stdout. */
export interface Output {
  write(text: string): unknown;
}

/**
 * `signet config check`: reads the configuration and the files it names as a start would, changes nothing, and says what differs from
 * the defaults. Returns the exit code: 0, or 78 after printing every fault.
 */
export function configCheck(env: Environment | undefined, out: Output): number {
  let config: Config;
  try {
    config = loadConfig(env);
  } catch (error) {
    return fail(out, error);
  }
  const faults = [() => resolveKek(config, config.databaseUrl === undefined), () => checkProfiles(config)].flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      return [error];
    }
  });
  if (faults.length > 0) return Math.max(...faults.map((fault) => fail(out, fault)));
  out.write('the configuration is valid\n');
  for (const line of differences(config)) out.write(`  ${line}\n`);
  for (const warning of configWarnings(config, env)) out.write(`warning: ${warning}\n`);
  return 0;
}

function fail(out: Output, error: unknown): number {
  if (!(error instanceof StartupError)) throw error;
  out.write(`${error.message}\n`);
  return error.exitCode;
}

function checkProfiles({ profilesFile }: Config): void {
  if (profilesFile === undefined) return;
  try {
    loadProfiles(JSON.parse(readFileSync(profilesFile, 'utf8')));
  } catch (error) {
    const reason = error instanceof ProfileError || error instanceof SyntaxError ? error.message : `cannot be read: ${(error as Error).message}`;
    throw new StartupError(`${environmentName('profilesFile')}: ${profilesFile}: ${reason}`);
  }
}

/** One line for each key whose value is not the default, passwords replaced. */
function differences(config: Config): string[] {
  return CONFIG_KEYS.flatMap((key) => {
    const byDefault = configSchema.shape[key].safeParse(undefined);
    const value = formatValue(config[key]);
    return byDefault.success && formatValue(byDefault.data) === value ? [] : [`${environmentName(key)}=${redactSecrets(value)}`];
  });
}
