import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** The newest list of one scope (an issuer's key, and the part of its certificates). */
export interface Seen {
  /** Decimal; undefined for a list without a number. */
  number: string | undefined;
  thisUpdateMs: number;
  /** SHA-256 of the list, hexadecimal: one number belongs to one list. */
  sha256: string;
}

/** What was seen of lists: nothing older is taken for news, before or after a restart. */
export interface SeenLists {
  /** Why a list is older than one that was seen; undefined: it is not. */
  faultOf(scope: string, list: Seen): string | undefined;
  saw(scope: string, list: Seen): void;
  /** Why it is remembered in memory only; undefined: the file is written, or there is to be none. */
  fault(): string | undefined;
}

const MAX_SCOPES = 4_096;
const FILE_MODE = 0o600;
const stored = z.strictObject({
  version: z.literal(1),
  lists: z.record(z.string(), z.strictObject({ number: z.string().regex(/^\d{1,49}$/).optional(), thisUpdateMs: z.number(), sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
});

/** @throws Error for a file that cannot be read: what it knew would be forgotten silently */
export function openSeenLists(file: string | undefined): SeenLists {
  let fault: string | undefined;
  const seen = new Map<string, Seen>(file === undefined ? [] : readState(file));
  return {
    faultOf(scope, { number, thisUpdateMs, sha256 }) {
      const known = seen.get(scope);
      if (!known || known.sha256 === sha256) return undefined;
      if (known.number !== undefined && (number === undefined || BigInt(number) < BigInt(known.number))) return `its number ${number ?? '(none)'} is below ${known.number}, which was seen`;
      if (thisUpdateMs < known.thisUpdateMs) return `it is of ${new Date(thisUpdateMs).toISOString()}, older than one that was seen, of ${new Date(known.thisUpdateMs).toISOString()}`;
      if (number !== undefined && number === known.number) return `it is another list of number ${number}, which was seen`;
      return undefined;
    },
    saw(scope, list) {
      if (seen.get(scope)?.sha256 === list.sha256) return;
      seen.delete(scope);
      seen.set(scope, list);
      for (const oldest of seen.keys()) if (seen.size > MAX_SCOPES) seen.delete(oldest);
      if (file === undefined) return;
      try {
        writeState(file, seen);
        fault = undefined;
      } catch (error) {
        // A full disk takes nobody's status away: the list counts, and it is said.
        fault = `${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`;
      }
    },
    fault: () => fault,
  };
}

function readState(file: string): [string, Seen][] {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  try {
    return Object.entries(stored.parse(JSON.parse(text)).lists).map(([scope, { number, ...rest }]) => [scope, { ...rest, number }]);
  } catch (error) {
    throw new Error(`${file} cannot be read: with it the newest lists would be forgotten; put it right, or take it away knowingly`, { cause: error });
  }
}

/** Whole or not at all: a process that is killed meanwhile leaves the file as it was. */
function writeState(file: string, seen: ReadonlyMap<string, Seen>): void {
  const fresh = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}`);
  const descriptor = fs.openSync(fresh, 'w', FILE_MODE);
  try {
    fs.writeFileSync(descriptor, `${JSON.stringify({ version: 1, lists: Object.fromEntries(seen) })}\n`);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
  fs.renameSync(fresh, file);
}
