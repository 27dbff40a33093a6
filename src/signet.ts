#!/usr/bin/env node
/** The one command-line entry: what works on this machine goes to admin/, everything else to cli/. */
import { auditPurge } from './admin/audit-purge.ts';
import { configCheck } from './admin/config-check.ts';
import { runCli } from './cli/run.ts';
import { environment } from './config/load.ts';

const LOCAL_HELP = `  config check    Read the configuration as the service would and print every fault and warning
  audit purge     Delete audit events older than a date and keep their hashes; as the owner of the database`;

const argv = process.argv.slice(2);
const env = environment();
if (argv[0] === 'config' && argv[1] === 'check') {
  process.exitCode = configCheck(env, process.stdout);
} else if (argv[0] === 'audit' && argv[1] === 'purge') {
  process.exitCode = await auditPurge(argv.slice(2), env, { out: process.stdout, err: process.stderr });
} else {
  process.exitCode = await runCli(argv, { out: process.stdout, err: process.stderr, env }, LOCAL_HELP);
}
