#!/usr/bin/env node
/** The one command-line entry: what works on this machine goes to admin/, everything else to cli/. */
import { localHelp, runLocal } from './admin/run-local.ts';
import { runCli } from './cli/run.ts';
import { environment } from './config/load.ts';

/** Told to stop before it was done. */
const EXIT_INTERRUPTED = 130;

const argv = process.argv.slice(2);
const io = { out: process.stdout, err: process.stderr, env: environment() };
// An exit, unlike the signal itself, takes an embedded database that a local command has started along.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(EXIT_INTERRUPTED));
process.exitCode = (await runLocal(argv, io)) ?? (await runCli(argv, io, localHelp()));
