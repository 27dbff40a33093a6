import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { createSystemRandom } from '../core/random.ts';
import type { CliContext } from './command.ts';

type Row = Record<string, unknown>;

/** A JSON answer as it is with --json, else a table (lists) or lines `name  value` (one thing). */
export function show(cli: CliContext, json: string, columns?: readonly string[]): void {
  const { out } = cli.io;
  // An answer without content (RFC 9110 §15.3.5).
  if (json === '') {
    out.write(cli.json ? '{}\n' : 'done\n');
    return;
  }
  const value = JSON.parse(json) as Row;
  if (cli.json) {
    out.write(`${JSON.stringify(value)}\n`);
    return;
  }
  const items = (value['items'] ?? value['statuses']) as Row[] | undefined;
  if (items === undefined) out.write(lines(value));
  else if (items.length === 0) out.write('none\n');
  else {
    const all = columns ?? Object.keys(items[0] ?? {});
    const fitting = columnsThatFit(items, all, out.columns);
    out.write(table(items, fitting, { width: out.columns }) + leftOut(all, fitting));
  }
  if (typeof value['nextCursor'] === 'string') out.write(`more: --cursor ${value['nextCursor']}\n`);
}

/** Milliseconds are for programs. The Z stays: all times are UTC. */
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{3}Z$/;

/** A value in one line; nothing in it can move the cursor or change colours of a terminal. */
function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'object') return compact(value as Row);
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- objects are handled above
  return String(value).replace(TIME, '$1Z').replaceAll(/\p{Cc}/gu, ' ');
}

/** An actor as `kind:id`, a list as its members, a record as `name=value`. */
function compact(value: Row | unknown[]): string {
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(cell).join(', ');
  const names = Object.keys(value);
  if (names.length === 2 && 'kind' in value && 'id' in value) return `${cell(value['kind'])}:${cell(value['id'])}`;
  return names.length === 0 ? '-' : names.map((name) => `${name}=${cell(value[name])}`).join(' ');
}

function lines(record: Row): string {
  const shown = Object.entries(record).filter(([, value]) => !(typeof value === 'string' && value.includes('-----BEGIN')));
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}\n`).join('');
}

/** A member of a row, or of what is in it: `lastRun.outcome`. */
const at = (row: Row, column: string): unknown => column.split('.').reduce<unknown>((value, name) => (value as Row | null | undefined)?.[name], row);

const GAP = 2;
/** Narrower than this nothing is cut. */
const MIN_WIDTH = 24;
/** Ids, serials, hashes, times: whole or useless. */
const WHOLE = /^(?:[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-f]{40,}|\d{4}-\d\d-\d\dT.*|-)$/;

/** Aligned columns; on a terminal of `width` columns other values than ids and times are cut to fit. */
export function table(items: readonly Row[], columns: readonly string[], { width, head = true }: { width?: number | undefined; head?: boolean } = {}): string {
  const rows = items.map((item) => columns.map((column) => cell(at(item, column))));
  const titles = columns.map(titleOf);
  const all = head ? [titles, ...rows] : rows;
  const natural = columns.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)));
  const widths = width === undefined ? natural : fit(natural, rows, width);
  return all.map((row) => `${row.map((value, i) => cut(value, widths[i] ?? 0)).join(' '.repeat(GAP)).trimEnd()}\n`).join('');
}

const titleOf = (column: string): string => column.slice(column.lastIndexOf('.') + 1).replace(/[A-Z]/g, ' $&').toUpperCase();

const isNeverCut = (values: readonly string[]): boolean => values.every((value) => WHOLE.test(value));

/** The columns, from the left, that a terminal of `width` has room for, cut as far as they may be; at least one. Not a terminal: all. */
export function columnsThatFit(items: readonly Row[], columns: readonly string[], width: number | undefined): readonly string[] {
  if (width === undefined) return columns;
  let used = -GAP;
  const end = columns.findIndex((column, i) => {
    const values = items.map((item) => cell(at(item, column)));
    const natural = Math.max(titleOf(column).length, ...values.map(({ length }) => length));
    used += GAP + (isNeverCut(values) ? natural : Math.min(natural, MIN_WIDTH));
    return i > 0 && used > width;
  });
  return end < 0 ? columns : columns.slice(0, end);
}

/** A line that says which columns are missing. */
export function leftOut(columns: readonly string[], shown: readonly string[]): string {
  const missing = columns.slice(shown.length).map(titleOf);
  return missing.length === 0 ? '' : `no room for ${missing.join(', ')}: widen the terminal, or see --json\n`;
}

const cut = (value: string, width: number): string => (value.length > width ? `${value.slice(0, width - 1)}…` : value.padEnd(width));

/** Takes from the widest column that may be cut, until the row fits or nothing is left to take. */
function fit(natural: readonly number[], rows: readonly string[][], width: number): number[] {
  const widths = [...natural];
  const isWhole = natural.map((_, i) => isNeverCut(rows.map((row) => row[i] ?? '')));
  for (let over = widths.reduce((sum, one) => sum + one + GAP, -GAP) - width; over > 0; over--) {
    const widest = widths.reduce((best, one, i) => (!isWhole[i] && one > MIN_WIDTH && (best < 0 || one > (widths[best] ?? 0)) ? i : best), -1);
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

/** A file that can be written, and is not yet. */
export interface DraftFile {
  /** Writes it whole or not at all: fsync, rename. */
  keep(content: string | Uint8Array): void;
  discard(): void;
}

/** Beside its place, and nobody else's: what another program left there, or writes now, is not touched. */
export const draftName = (file: string): string => `${file}.${Buffer.from(createSystemRandom().bytes(DRAFT_NAME_BYTES)).toString('hex')}.new`;
const DRAFT_NAME_BYTES = 8;

/** Opens a file under a temporary name: what cannot be written is known before there is something to lose. `mode` is 0600 for anything secret. */
export function draftFile(file: string, mode: number): DraftFile {
  mkdirSync(path.dirname(file), { recursive: true });
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) throw Object.assign(new Error(`${file} is a folder`), { path: file });
  const temporary = draftName(file);
  const handle = openSync(temporary, 'wx', mode);
  return {
    keep(content) {
      try {
        const bytes = Buffer.from(content);
        for (let written = 0; written < bytes.length; ) written += writeSync(handle, bytes, written);
        fsyncSync(handle);
        renameSync(temporary, file);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw error;
      } finally {
        closeSync(handle);
      }
    },
    discard() {
      closeSync(handle);
      rmSync(temporary, { force: true });
    },
  };
}

/** Writes a file whole or not at all. */
export const writeFileAtomic = (file: string, content: string | Uint8Array, mode: number): void => draftFile(file, mode).keep(content);
