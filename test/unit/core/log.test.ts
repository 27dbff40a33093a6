import { expect, test } from '@jest/globals';
import { createLogger, createPlainLogger, logLinesDropped, pipeOutput, redactSecrets } from '../../../src/core/log.ts';

const SECRET = 'A'.repeat(43);
const TOKEN = `sgj_01JABCDEFGHJKMNPQRSTVWXYZ0_${SECRET}`;

function capture(level: 'info' | 'silent' = 'info') {
  const lines: string[] = [];
  return { lines, log: createLogger(level, { write: (line: string) => void lines.push(line) }) };
}

test('createLogger writes one JSON line with level, time and message', () => {
  const { lines, log } = capture();
  log.info({ requestId: 'r1' }, 'issued');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.endsWith('\n')).toBe(true);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', msg: 'issued', requestId: 'r1', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown });
});

test('createLogger at silent writes nothing', () => {
  const { lines, log } = capture('silent');
  log.fatal('x');
  expect(lines).toEqual([]);
});

test.each([
  ['authorization of a request', { req: { headers: { authorization: `Bearer ${SECRET}` } } }],
  ['cookie', { headers: { cookie: SECRET, 'set-cookie': SECRET } }],
  ['token', { token: SECRET }],
  ['join token in a body', { body: { joinToken: SECRET } }],
  ['password in an error', { err: new Error(`cannot reach postgresql://signet:${SECRET}@db:5432/signet`) }],
  ['password in the query of a URL', { err: new Error(`cannot reach postgresql://db/signet?user=signet&password=${SECRET}&sslmode=require`) }],
  ['token inside a text', { note: `used ${TOKEN} twice` }],
  ['private key', { note: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----` }],
  ['cut private key', { note: `-----BEGIN EC PRIVATE KEY-----\n${SECRET}` }],
])('createLogger does not write a secret: %s', (_, record) => {
  const { lines, log } = capture();
  log.info(record, 'm');
  expect(lines[0]).not.toContain('AAAA');
  expect(lines[0]).toContain('[redacted]');
  expect(() => JSON.parse(lines[0] ?? '') as unknown).not.toThrow();
});

test('redactSecrets keeps the id of a token and the user of a URL', () => {
  expect(redactSecrets(`${TOKEN} postgres://me:pw@h/d`)).toBe('sgj_01JABCDEFGHJKMNPQRSTVWXYZ0_[redacted] postgres://me:[redacted]@h/d');
  expect(redactSecrets('http://127.0.0.1:8080/crl and a@b:c')).toBe('http://127.0.0.1:8080/crl and a@b:c');
});

test('createPlainLogger still knows a secret by its shape', () => {
  const lines: string[] = [];
  createPlainLogger('info', { write: (line: string) => void lines.push(line) }).info({ caller: TOKEN }, 'm');
  expect(lines[0]).toContain('[redacted]');
  expect(lines[0]).not.toContain('AAAA');
});

test('pipeOutput drops what nobody takes, counts it, and says so once somebody does', () => {
  const written: string[] = [];
  const pipe = { writableLength: 0, write: (text: string) => void written.push(text) };
  const output = pipeOutput(pipe);
  const before = logLinesDropped();
  output.write('one\n');
  pipe.writableLength = 2_000_000;
  output.write('two\n');
  output.write('three\n');
  pipe.writableLength = 0;
  output.write('four\n');
  output.write('five\n');
  expect(logLinesDropped() - before).toBe(2);
  expect([written[0], ...written.slice(2)]).toEqual(['one\n', 'four\n', 'five\n']);
  expect(JSON.parse(written[1] ?? '')).toMatchObject({ level: 'warn', dropped: 2, time: expect.stringMatching(/Z$/) as unknown });
});
