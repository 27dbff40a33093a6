#!/usr/bin/env node
/** The one command-line entry: what works on this machine goes to admin/, everything else to cli/. */
import { LOCAL_COMMANDS } from './admin/local-commands.ts';
import { programVersion } from './admin/program-version.ts';
import { runLocal } from './admin/run-local.ts';
import { EXIT } from './cli/exit.ts';
import { askOnTerminal } from './cli/terminal.ts';
import { environment } from './config/environment.ts';

const argv = process.argv.slice(2);
const io = { out: process.stdout, err: process.stderr, in: process.stdin, env: environment(), ask: askOnTerminal(process.stdin, process.stderr) };
// An exit, unlike the signal itself, takes an embedded database that a local command has started along.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(EXIT.interrupted));

// Whoever reads may have enough (`| head`). Work on this machine goes on all the same; of an answer nothing is left to say, and no page to fetch.
let isAnswer = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (isAnswer) process.exit(EXIT.ok);
  });
}

/** What a person waits for is loaded, and nothing else: the two kinds of commands have little in common. */
async function run(): Promise<number> {
  if (argv[0] === '--version' || argv[0] === 'version') {
    io.out.write(`signet ${programVersion()}\n`);
    return EXIT.ok;
  }
  const done = await runLocal(argv, io);
  if (done !== undefined) return done;
  isAnswer = true;
  if (argv[0] === 'verify') {
    const { runVerifyAlone } = await import('./cli/verify/alone.ts');
    const verified = await runVerifyAlone(argv.slice(1), io);
    if (verified !== undefined) return verified;
  }
  const { runCli } = await import('./cli/run.ts');
  return runCli(argv, io, LOCAL_COMMANDS);
}
process.exitCode = await run();
