import { expect, test } from '@jest/globals';
import { createPlainLogger } from '../../../src/core/log.ts';
import { createAccessLog, type Access } from '../../../src/http/access-log.ts';

const request: Access = {
  door: 'api', operation: 'listAgents', method: 'GET', status: 200, durationMs: 1.2345, requestId: 'R', caller: { kind: 'admin', id: 'A', role: 'operator' }, source: '192.0.2.1',
};

function written(accessLog: 'admin' | 'all' | 'off', requests: Partial<Access>[], logLevel: 'info' | 'warn' = 'info'): object[] {
  const lines: string[] = [];
  const write = createAccessLog({ accessLog, logLevel }, createPlainLogger(logLevel, { write: (line) => void lines.push(line) }));
  for (const one of requests) write?.({ ...request, ...one });
  return lines.map((line) => JSON.parse(line) as object);
}

const stranger = { caller: { kind: 'anonymous', id: 'anonymous', role: 'anonymous' } } as const;

test('a line tells who did what, how it ended and how long it took', () => {
  expect(written('all', [{}])).toEqual([
    { level: 'info', time: expect.any(String) as unknown, pid: process.pid, door: 'api', operation: 'listAgents', method: 'GET', status: 200, requestId: 'R', source: '192.0.2.1', ms: 1.2, caller: 'admin:A', msg: 'request' },
  ]);
});

test('by default administrators and faults of ours get lines, strangers and agents in numbers do not', () => {
  const ofEach = [{}, { ...stranger, status: 401 }, { caller: { kind: 'enrollment', id: 'J', role: 'enrollment' }, status: 201 } as const, { ...stranger, status: 503 }];
  expect(written('admin', ofEach)).toMatchObject([{ caller: 'admin:A' }, { status: 503 }]);
  expect(written('all', ofEach)).toHaveLength(4);
});

test('a relying party is called one, whatever it shows, and by default gets no lines either', () => {
  const callers: Access['caller'][] = [
    { kind: 'admin', id: 'T', role: 'relying-party', relyingParty: { id: 'P', mayAsk: ['status'] } }, { kind: 'admin', id: 'OLD', role: 'relying-party' },
    { kind: 'relying-party', id: 'P', role: 'relying-party', relyingParty: { id: 'P', mayAsk: ['status'] } },
  ];
  const requests = callers.map((caller) => ({ caller }));
  expect(written('all', requests)).toMatchObject([{ caller: 'relying-party:P' }, { caller: 'relying-party:OLD' }, { caller: 'relying-party:P' }]);
  expect(written('admin', requests)).toEqual([]);
});

test('off, or a level above info, writes nothing and costs nothing', () => {
  expect(written('off', [{}])).toEqual([]);
  expect(written('all', [{}], 'warn')).toEqual([]);
  expect(createAccessLog({ accessLog: 'off', logLevel: 'info' })).toBeUndefined();
});
