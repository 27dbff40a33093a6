import { expect, test } from '@jest/globals';
import { createPost } from '../../../src/supervisor/post.ts';

test('messages for an end that does not read are lost beyond a bound, except what must arrive; read again, they go through', () => {
  const sent: { message: number; done: () => void }[] = [];
  const channel = { connected: true, send: (message: unknown, _: undefined, __: undefined, done: () => void) => sent.push({ message: message as number, done }) > 0 };
  const post = createPost<number>(channel);
  for (let i = 0; i < 5_000; i++) post.send(i);
  expect(sent).toHaveLength(1_000);
  post.insist(-1);
  expect(sent.at(-1)?.message).toBe(-1);
  for (const { done } of sent.splice(0)) done();
  post.send(-2);
  expect(sent.map(({ message }) => message)).toEqual([-2]);
  channel.connected = false;
  post.insist(-3);
  expect(sent).toHaveLength(1);
});
