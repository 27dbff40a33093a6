import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { CliContext } from './command.ts';

/** A JSON answer as it is with --json, else a table (lists) or lines `name  value` (one thing). */
export function show(cli: CliContext, json: string, columns?: readonly string[]): void {
  if (cli.json) {
    cli.io.out.write(`${JSON.stringify(JSON.parse(json))}\n`);
    return;
  }
  const value = JSON.parse(json) as Record<string, unknown>;
  const items = Array.isArray(value['items']) ? (value['items'] as Record<string, unknown>[]) : Array.isArray(value['statuses']) ? (value['statuses'] as Record<string, unknown>[]) : undefined;
  if (items === undefined) cli.io.out.write(lines(value));
  else cli.io.out.write(table(items, columns ?? Object.keys(items[0] ?? {})));
  if (typeof value['nextCursor'] === 'string') cli.io.out.write(`more: --cursor ${value['nextCursor']}\n`);
}

const cell = (value: unknown): string => {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'object') return JSON.stringify(value);
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- objects are handled above
  return String(value).replaceAll('\n', ' ');
};

function lines(record: Record<string, unknown>): string {
  const shown = Object.entries(record).filter(([, value]) => !(typeof value === 'string' && value.includes('-----BEGIN')));
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}\n`).join('');
}

function table(items: Record<string, unknown>[], columns: readonly string[]): string {
  if (items.length === 0) return 'none\n';
  const rows = [columns.map((column) => column.toUpperCase()), ...items.map((item) => columns.map((column) => cell(item[column])))];
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows.map((row) => `${row.map((value, i) => value.padEnd(widths[i] ?? 0)).join('  ').trimEnd()}\n`).join('');
}

/** Writes a file whole or not at all: temporary name, fsync, rename. `mode` is 0600 for anything secret. */
export function writeFileAtomic(file: string, content: string, mode: number): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  // A leftover of a killed run might be readable by others.
  rmSync(temporary, { force: true });
  const handle = openSync(temporary, 'wx', mode);
  try {
    writeSync(handle, content);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
}
