/** One server-sent event. */
export interface ServerSentEvent {
  name: string;
  data: string;
  id: string | undefined;
}

/** A line longer than this is no event of the feed. */
const MAX_LINE = 262_144;

/** Reads server-sent events (WHATWG HTML §9.2) from octets as they come. When to come back is the reader's own affair: `retry` is passed over. @throws Error for a line without end */
export function createEventReader(onEvent: (event: ServerSentEvent) => void): (octets: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let name = 'message';
  let data: string[] = [];
  let id: string | undefined;

  function line(text: string): void {
    if (text === '') {
      if (data.length > 0) onEvent({ name, data: data.join('\n'), id });
      name = 'message';
      data = [];
      id = undefined;
      return;
    }
    const colon = text.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id') id = value;
  }

  return (octets) => {
    rest = rest.length === 0 ? octets : Buffer.concat([rest, octets]);
    let from = 0;
    for (let end = rest.indexOf(10, from); end >= 0; end = rest.indexOf(10, from)) {
      const before = end > from && rest[end - 1] === 13 ? end - 1 : end;
      line(rest.toString('utf8', from, before));
      from = end + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > MAX_LINE) throw new Error('the stream sends a line without end');
  };
}
