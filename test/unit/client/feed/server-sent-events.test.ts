import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createEventReader, type ServerSentEvent } from '../../../../src/client/feed/server-sent-events.ts';

function read(octets: Buffer, cuts: readonly number[] = []): ServerSentEvent[] {
  const events: ServerSentEvent[] = [];
  const reader = createEventReader((event) => events.push(event));
  const at = [0, ...cuts.filter((cut) => cut < octets.length).toSorted((a, b) => a - b), octets.length];
  for (let i = 1; i < at.length; i++) reader(octets.subarray(at[i - 1], at[i]));
  return events;
}

const STREAM = 'retry: 250\r\nevent: hello\ndata: {"ä":1}\n\n: a comment\nid: c:1:7\nevent: change\ndata: a\ndata: b\n\nevent: nothing\n\nretry: x\ndata:no blank\n\nevent: half\ndata: never ended\n';

test('events with name, data and id; what is not ended is not told', () => {
  expect(read(Buffer.from(STREAM))).toEqual([
    { name: 'hello', data: '{"ä":1}', id: undefined }, { name: 'change', data: 'a\nb', id: 'c:1:7' }, { name: 'message', data: 'no blank', id: undefined },
  ]);
});

test('however the octets come', () => {
  const whole = read(Buffer.from(STREAM));
  fc.assert(fc.property(fc.array(fc.nat(STREAM.length + 2)), (cuts) => expect(read(Buffer.from(STREAM), cuts)).toEqual(whole)));
});

test('a line without end is refused', () => {
  const reader = createEventReader(() => undefined);
  expect(() => {
    for (let i = 0; i < 100; i++) reader(Buffer.alloc(10_000, 'x'));
  }).toThrow('without end');
});
