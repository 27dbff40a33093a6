import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, encodeAuditEvent } from '../../../src/audit/append.ts';

const random = { bytes: (n: number) => new Uint8Array(n).fill(7) };
const at = new Date('2026-11-21T00:00:00Z');
const origin = { actor: { kind: 'admin', id: '01A' }, requestId: 'req', source: '127.0.0.1' } as const;

test('encodeAuditEvent writes sorted, versioned bytes without number and without the personal value', () => {
  const row = encodeAuditEvent({ random }, origin, at, {
    kind: 'agent.registered',
    outcome: 'success',
    agentId: '01B',
    serial: Uint8Array.of(1, 2),
    detail: { profile: 'agent', count: 2 },
    personal: { owner: 'alice@example.org' },
  });
  const hash = createHash('sha256').update(random.bytes(16)).update('alice@example.org').digest('hex');
  expect(Buffer.from(row.event).toString()).toBe(
    `{"actor":{"id":"01A","kind":"admin"},"agent":"01B","at":"2026-11-21T00:00:00.000Z","detail":{"count":2,"profile":"agent"},"id":"${row.id}",` +
      `"kind":"agent.registered","outcome":"success","personal":{"owner":"${hash}"},"requestId":"req","serial":"0102","source":"127.0.0.1","v":1}`,
  );
  expect(row.personal).toEqual([{ field: 'owner', value: 'alice@example.org', salt: random.bytes(16) }]);
});

/** Only safe integers are canonical here; -0 is not one of JSON's. */
function isCanonical(value: unknown): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  return value === null || typeof value !== 'object' || Object.values(value).every(isCanonical);
}

test('canonicalJson reads back as what was written, with sorted members', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), (value) => {
      fc.pre(isCanonical(value));
      expect(JSON.parse(canonicalJson(value as never))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(canonicalJson({ b: 1, a: [true, null, 'x'], c: undefined })).toBe('{"a":[true,null,"x"],"b":1}');
  expect(() => canonicalJson({ a: 1.5 })).toThrow(TypeError);
});
