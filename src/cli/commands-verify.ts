import type { Command } from './command.ts';
import { runVerify, VERIFY_HELP, VERIFY_OPTIONS } from './verify/run.ts';

const verify: Command = {
  name: 'verify',
  usage: '[<chain file>] [--root <file>]... [--crl <file>]... [--ocsp <file>]... [--host <name> | --spiffe-id <id>] [--time <time>] [--json | --batch]',
  summary: 'Judge a certificate and its path up to a trusted root, offline (docs/path-validation.md has the form of questions)',
  example: 'signet verify ./identity/chain.pem --root ./trust-bundle.pem --purpose clientAuth',
  positionals: ['chain file'],
  mayOmitLast: true,
  options: VERIFY_OPTIONS,
  help: VERIFY_HELP,
  run: (cli, input) => runVerify(cli.io, cli.json, input),
};

export const VERIFY_COMMANDS: readonly Command[] = [verify];
