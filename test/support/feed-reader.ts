/** A reader of the live feed that does nothing but read: what a test sees is what came over the wire. */
import https from 'node:https';

export interface ReadEvent {
  name: string;
  data: Record<string, unknown>;
  id: string | undefined;
}

export interface FeedReader {
  status: number;
  headers: Record<string, unknown>;
  events: ReadEvent[];
  /** The data of events of this name. */
  of(name: string): Record<string, unknown>[];
  /** Resolves when the events so far are as wanted. @throws Error when the stream ends, or 10 s pass, before they are */
  until(wanted: (reader: FeedReader) => boolean): Promise<void>;
  ended: Promise<void>;
  /** Takes nothing more, until it resumes. */
  pause(): void;
  resume(): void;
  close(): void;
}

export interface ReaderOptions {
  url: string;
  ca: string;
  token?: string;
  identity?: { chain: string; key: string };
  path?: string;
  headers?: Record<string, string>;
}

/** Opens a stream; anything but 200 is told by `status`, with the problem as the one event. */
export function readFeedStream({ url, ca, token, identity, path = '/v1/revocations/stream', headers }: ReaderOptions): Promise<FeedReader> {
  return new Promise((resolve, reject) => {
    const request = https.request(new URL(path, url), {
      agent: false, ca, ...(identity && { cert: identity.chain, key: identity.key }),
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      let rest = '';
      let look = (): void => undefined;
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      const reader: FeedReader = {
        status: response.statusCode ?? 0, headers: response.headers, events: [], ended,
        of: (name) => reader.events.filter((event) => event.name === name).map(({ data }) => data),
        until: (wanted) =>
          new Promise((done, fail) => {
            const seen = () => `${reader.events.length} events, the last ${JSON.stringify(reader.events.at(-1))}`;
            const late = setTimeout(() => fail(new Error(`not seen in 10 s: ${String(wanted)}; ${seen()}`)), 10_000);
            look = () => {
              if (!wanted(reader)) return;
              clearTimeout(late);
              done();
            };
            void ended.then(() => {
              clearTimeout(late);
              if (wanted(reader)) done();
              else fail(new Error(`the stream ended before: ${String(wanted)}; ${seen()}`));
            });
            look();
          }),
        pause: () => void response.pause(),
        resume: () => void response.resume(),
        close: () => request.destroy(),
      };
      response.setEncoding('utf8').on('data', (text: string) => {
        const blocks = (rest + text).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) reader.events.push(parse(block));
        look();
      });
      response.on('error', () => end()).once('close', () => end());
      if (reader.status === 200) resolve(reader);
      else
        response.once('end', () => {
          reader.events.push({ name: 'problem', data: JSON.parse(rest) as Record<string, unknown>, id: undefined });
          resolve(reader);
        });
    });
    request.end();
  });
}

function parse(block: string): ReadEvent {
  const field = (name: string) => block.split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  return { name: field('event') ?? 'message', data: JSON.parse(field('data') ?? '{}') as Record<string, unknown>, id: field('id') };
}
