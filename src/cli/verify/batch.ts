/** JSON lines in, JSON lines out. One bad line is answered as such; the others do not suffer. */
import { systemClock } from '../../core/clock.ts';
import type { CliIo } from '../command.ts';
import { answerQuestion, type StoreCache } from './request.ts';

/** Octets of a question: ten thousand certificates, or a list of a million entries, fit in. */
const MAX_QUESTION_BYTES = 134_217_728;
const NEWLINE = 0x0a;

/** Everything there is, as text; nothing of what is too long. */
export async function readAll(input: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of input) {
    length += part.length;
    if (length <= MAX_QUESTION_BYTES) parts.push(part);
    else parts.length = 0;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Answers every line in its order, as it comes. Whether every answer was yes. */
export async function answerBatch(input: AsyncIterable<Uint8Array>, out: CliIo['out']): Promise<boolean> {
  const stores: StoreCache = new Map();
  let isAllValid = true;
  for await (const line of linesOf(input)) {
    if (line.trim() === '') continue;
    const answer = answerQuestion(line, systemClock.now(), stores);
    isAllValid &&= answer.valid;
    const isTaken = out.write(`${JSON.stringify(answer)}\n`);
    if (isTaken === false) await drained(out);
  }
  return isAllValid;
}

/** Whoever reads slower than we answer does not fill our memory. */
async function drained(out: CliIo['out']): Promise<void> {
  if ('once' in out) await new Promise<void>((resolve) => (out as NodeJS.WritableStream).once('drain', () => resolve()));
}

/** Lines of UTF-8. What is longer than a question can be comes as an empty object, which is answered as no question. */
async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (): string => {
    const line = length > MAX_QUESTION_BYTES ? '{}' : Buffer.concat(parts).toString('utf8');
    parts = [];
    length = 0;
    return line;
  };
  const add = (part: Uint8Array): void => {
    length += part.length;
    if (length > MAX_QUESTION_BYTES) parts = [];
    else parts.push(part);
  };
  for await (const chunk of input) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at));
      yield take();
      from = at + 1;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield take();
}
