/**
 * Other people's programs in tests: found, or loudly missed, and their verdicts in the report of the run. A program that accepts everything proves
 * nothing: each must be seen to accept what is good, and to refuse what is revoked and what is known to be bad.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from '@jest/globals';

/** What was shown to a program: something good, something revoked or on hold, or something that everybody must refuse. */
export type Shown = 'good' | 'revoked' | 'known-bad';

/** What a program made of it. */
export interface Verdict {
  accepted: boolean;
  /** Its own words. */
  said: string;
}

export interface WantedProgram {
  name: string;
  /** What must be installed for it; said when it is missing. */
  debianPackage: string;
  /** A must-program that is missing on CI is a failure; anything else that is missing is a loud skip. */
  must: boolean;
  /** Its version, or undefined when it is not on this machine. */
  version(): Promise<string | undefined>;
}

export interface OutsideProgram {
  readonly isHere: boolean;
  /** As Jest's `test`, where the program is. */
  test(name: string, work: () => Promise<void>): void;
  /** Expects the right verdict, with these words where it is a refusal, and counts it for the report. */
  expects(shown: 'good', verdict: Verdict): void;
  expects(shown: 'revoked' | 'known-bad', verdict: Verdict, why: RegExp): void;
}

/** These tests start many processes on machines that do other things, too. */
export const INTEROP_TIMEOUT_MS = 180_000;

/** Looks for the program. Call it at the top of a test file: it declares tests of its own. */
export async function outsideProgram(wanted: WantedProgram): Promise<OutsideProgram> {
  const { name, debianPackage } = wanted;
  const version = await wanted.version();
  const seen: Record<Shown, { right: number; all: number }> = { good: { right: 0, all: 0 }, revoked: { right: 0, all: 0 }, 'known-bad': { right: 0, all: 0 } };
  const isHere = version !== undefined;
  const skipped = `${name} [SKIPPED: install ${debianPackage}]`;

  if (!isHere && wanted.must && process.env.CI === 'true') {
    test(`${name} takes part`, () => {
      throw new Error(`${name} is a must on CI and is not on this machine: install ${debianPackage}`);
    });
  } else if (!isHere) {
    console.warn(`${name} IS NOT ON THIS MACHINE: its interop tests are skipped and prove nothing. Install the Debian package ${debianPackage}.`);
  }
  // Where every test is skipped, Jest runs no hook.
  if (isHere) afterAll(() => report(`${name} · ${version} · ${summary(seen)}`));
  else report(`${name} · NOT INSTALLED (${debianPackage}) · nothing was shown to it`);

  function count(shown: Shown, isRight: boolean): void {
    seen[shown].all++;
    if (isRight) seen[shown].right++;
  }

  return {
    isHere,
    test: (title, work) => (isHere ? test(title, work, INTEROP_TIMEOUT_MS) : test.skip(`${skipped}: ${title}`, work)),
    expects(shown: Shown, verdict: Verdict, why?: RegExp) {
      const isRight = shown === 'good' ? verdict.accepted : !verdict.accepted && why?.test(verdict.said) === true;
      count(shown, isRight);
      if (isRight) return;
      // Not the whole matcher machinery for each of some hundred verdicts; it prints what was said when one is wrong.
      expect({ shown, ...verdict }).toEqual({ shown, accepted: shown === 'good', said: why ? expect.stringMatching(why) : verdict.said });
    },
  };
}

function summary(seen: Record<Shown, { right: number; all: number }>): string {
  const part = (shown: Shown, verb: string) => `${shown}: ${seen[shown].all === 0 ? 'none shown' : `${seen[shown].right} of ${seen[shown].all} ${verb}`}`;
  return [part('good', 'accepted'), part('revoked', 'refused'), part('known-bad', 'refused')].join(' · ');
}

/** One line to the file that `.ci/run` prints at its end. One write, so that lines of other workers stay whole. */
function report(line: string): void {
  const file = process.env.SIGNET_INTEROP_REPORT;
  if (file) fs.appendFileSync(file, `${line}\n`);
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

const RUN_MS = 60_000;

/** Runs a program to its end in `cwd`; a code of its own is for the caller to judge. @throws Error when it is not there or does not end */
export function run(program: string, args: readonly string[], { cwd, input = '', timeoutMs = RUN_MS }: { cwd?: string; input?: string; timeoutMs?: number } = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', HOME: cwd ?? '/' };
    const child = spawn(program, args, { cwd, env, timeout: timeoutMs, stdio: ['pipe', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) child[stream].setEncoding('latin1').on('data', (text: string) => (said[stream] += text));
    // One that ends before it has read everything is judged by its code.
    child.stdin.on('error', () => undefined).end(input);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === null) reject(new Error(`${program} ${args.join(' ')} was ended by ${signal}:\n${said.stdout}${said.stderr}`));
      else resolve({ code, ...said });
    });
  });
}

/** The first match of `pattern` in what `program args` says; undefined when it is not there. */
export async function versionOf(program: string, args: readonly string[], pattern: RegExp): Promise<string | undefined> {
  const onPath = (process.env.PATH ?? '').split(path.delimiter).some((folder) => fs.existsSync(path.join(folder, program)));
  if (!onPath && !path.isAbsolute(program)) return undefined;
  const { stdout, stderr } = await run(program, args);
  return pattern.exec(stdout + stderr)?.[1];
}
