/** The commands that the pages show, run as they stand. `sh` and `sql` blocks are run by tests, `console` blocks are shown only. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const FENCE = /^```(\S*)$/;

export interface Block {
  /** File from the root of the checkout, and line of the fence: `docs/api.md:26`. */
  place: string;
  line: number;
  /** What stands behind the fence: sh, console, sql …; empty for none. */
  info: string;
  text: string;
}

/** Text of a page, by its path from the root of the checkout. */
export const pageText = (page: string): string => fs.readFileSync(path.join(ROOT, page), 'utf8');

/** All fenced blocks of a page in their order. @throws Error for a fence that is not closed */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let open: { line: number; info: string; lines: string[] } | undefined;
  for (const [index, line] of pageText(page).split('\n').entries()) {
    const fence = FENCE.exec(line);
    if (open === undefined && fence) open = { line: index + 1, info: fence[1] ?? '', lines: [] };
    else if (open !== undefined && fence?.[1] === '') {
      blocks.push({ place: `${page}:${open.line}`, line: open.line, info: open.info, text: `${open.lines.join('\n')}\n` });
      open = undefined;
    } else open?.lines.push(line);
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block is not closed`);
  return blocks;
}

/** The `sh` blocks of a page: all, or those between the comments `<!-- mark -->` and `<!-- /mark -->`; the next one only where the second is not there. @throws Error when there is none */
export function shellOf(page: string, mark?: string): Block[] {
  const all = blocksOf(page).filter(({ info }) => info === 'sh');
  if (mark === undefined) return all;
  const lines = pageText(page).split('\n');
  const [from, to] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`].map((comment) => lines.indexOf(comment)) as [number, number];
  const marked = from < 0 ? [] : all.filter(({ line }) => line > from && (to < 0 || line <= to)).slice(0, to < 0 ? 1 : undefined);
  if (marked.length === 0) throw new Error(`${page} has no block ${mark}`);
  return marked;
}

export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Puts a `signet` of this checkout into `folder`/bin, which then belongs on the PATH. */
export function installSignet(folder: string): string {
  const bin = path.join(folder, 'bin');
  fs.mkdirSync(bin);
  fs.writeFileSync(path.join(bin, 'signet'), `#!/bin/sh\nexec ${process.execPath} ${ROOT}/dist/signet.js "$@"\n`, { mode: 0o755 });
  return bin;
}

/**
 * Runs blocks one after the other in one bash, which ends at the first command that fails. What they left running in the background is stopped.
 * Standard error then names the block by its place.
 */
export function runShell(blocks: readonly Block[], where: { cwd: string; env: Record<string, string> }): Ran {
  const script = blocks.map(({ place, text }) => `at=${place}\n${text}`).join('');
  const atEnd = `trap 'status=$?; kill $(jobs -p) 2>/dev/null && wait || :; [ $status = 0 ] || echo "$at failed" >&2; exit $status' EXIT\n`;
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-eu', '-o', 'pipefail', '-c', atEnd + script], { ...where, encoding: 'utf8' });
  return { status, stdout, stderr };
}
