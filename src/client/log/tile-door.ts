/** Reading a log over HTTP, or from a folder (C2SP tlog-tiles): the checkpoint, tiles, and with a token of an auditor the events. Nothing that is read is believed here. */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { MAX_NOTE_OCTETS } from '../../verify/log/note.ts';
import { MAX_ENTRY_OCTETS, TILE_WIDTH, tilePath, type TileId } from '../../verify/log/tiles.ts';

/** Where a log is read. */
export interface LogDoor {
  /** The newest checkpoint, as it came. */
  checkpoint(): Promise<string>;
  /** A tile or entry bundle; undefined where it is not there. @throws Error when nothing answers, or not with a tile */
  tile(tile: TileId): Promise<Buffer | undefined>;
}

/** The door of the API, for entry bundles. */
export interface EntryDoor {
  url: string;
  token: string;
  trustBundle: string;
}

const MAX_BUNDLE_OCTETS = TILE_WIDTH * (MAX_ENTRY_OCTETS + 2);
/** So long nothing may come. Milliseconds. */
const TIMEOUT_MS = 30_000;
/** So long a whole answer may take: who sends an octet now and then is not waited for. Milliseconds. */
const WHOLE_MS = 120_000;

/** The log of a status door; entries of the API door. Without one, no entries are there. */
export function openLogDoor(statusUrl: string, entries?: EntryDoor, wholeMs = WHOLE_MS): LogDoor & { close(): void } {
  const statusAgent = statusUrl.startsWith('http:') ? new http.Agent({ keepAlive: true }) : new https.Agent({ keepAlive: true });
  const entryAgent = entries?.url.startsWith('http:') === false ? new https.Agent({ keepAlive: true, ca: entries.trustBundle, minVersion: 'TLSv1.2' }) : new http.Agent({ keepAlive: true });
  const fromStatus = (name: string) => get(new URL(`/tlog/${name}`, statusUrl), { agent: statusAgent }, wholeMs);
  return {
    async checkpoint() {
      const octets = await fromStatus('checkpoint');
      if (!octets) throw new Error(`${statusUrl} has no log`);
      return octets.toString('utf8');
    },
    async tile(tile) {
      if (tile.level !== 'entries') return fromStatus(tilePath(tile));
      return entries && get(new URL(`/tlog/${tilePath(tile)}`, entries.url), { agent: entryAgent, headers: { authorization: `Bearer ${entries.token}` } }, wholeMs);
    },
    close() {
      statusAgent.destroy();
      entryAgent.destroy();
    },
  };
}

/** The log of a folder: `checkpoint` and `tile/…`, as they are served. */
export function openLogFolder(folder: string): LogDoor {
  const read = (name: string): Promise<Buffer | undefined> =>
    readFile(path.join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  return {
    async checkpoint() {
      const octets = await read('checkpoint');
      if (!octets) throw new Error(`there is no checkpoint in ${folder}`);
      return octets.toString('utf8');
    },
    tile: (tile) => read(tilePath(tile)),
  };
}

/** The body of a 200; undefined for 404 and 410. Bounded by the largest answer there can be. */
function get(url: URL, options: https.RequestOptions, wholeMs: number): Promise<Buffer | undefined> {
  const limit = url.pathname.includes('/tile/entries/') ? MAX_BUNDLE_OCTETS : MAX_NOTE_OCTETS;
  return new Promise<Buffer | undefined>((resolve, reject) => {
    const late = setTimeout(() => request.destroy(new Error(`${url.host} did not answer as a whole within ${wholeMs / 1000} s`)), wholeMs);
    const request = (url.protocol === 'http:' ? http : https).get(url, { ...options, timeout: TIMEOUT_MS }, (response) => {
      const { statusCode = 0 } = response;
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > limit) request.destroy(new Error(`${url.pathname} is larger than ${limit} octets`));
        else parts.push(part);
      });
      response.on('error', reject);
      response.on('end', () => {
        if (statusCode === 200) resolve(Buffer.concat(parts));
        else if (statusCode === 404 || statusCode === 410) resolve(undefined);
        else reject(new Error(`${url.pathname} was answered with ${statusCode}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${url.host} did not answer within ${TIMEOUT_MS / 1000} s`)));
    request.on('error', reject);
    request.on('close', () => clearTimeout(late));
  });
}
