import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { encodeAuditEvent, MAX_EVENT_OCTETS } from '../../../src/audit/append.ts';
import type { AuditEvent, Origin } from '../../../src/audit/events.ts';

const random = { bytes: (n: number) => new Uint8Array(n).fill(7) };
const at = new Date('2026-11-21T00:00:00Z');
const origin: Origin = { actor: { kind: 'admin', id: '01A' }, requestId: 'req', source: '127.0.0.1' };
const encoded = (event: AuditEvent, by = origin) => encodeAuditEvent({ random }, by, at, event);
const textOf = (event: AuditEvent, by?: Origin) => Buffer.from(encoded(event, by).event).toString('utf8');

test('encodeAuditEvent writes sorted, versioned bytes without number and without the personal value', () => {
  const row = encoded({
    kind: 'agent.registered', outcome: 'success', agentId: '01B', detail: { name: 'a', profile: 'agent', ttlCapSeconds: 2, environment: undefined, state: 'active' },
    personal: { ownerEmail: 'alice@example.org', deputyEmail: undefined },
  });
  const hash = createHash('sha256').update(random.bytes(16)).update('alice@example.org').digest('hex');
  expect(Buffer.from(row.event).toString()).toBe(
    `{"actor":{"id":"01A","kind":"admin"},"agent":"01B","at":"2026-11-21T00:00:00.000Z","detail":{"name":"a","profile":"agent","state":"active","ttlCapSeconds":2},"id":"${row.id}",` +
      `"kind":"agent.registered","outcome":"success","personal":{"ownerEmail":"${hash}"},"requestId":"req","source":"127.0.0.1","v":2}`,
  );
  expect(row.personal).toEqual([{ field: 'ownerEmail', value: 'alice@example.org', salt: random.bytes(16) }]);
});

test('an issuance carries the SHA-256 of the certificate, its issuer and serial, and nothing personal', () => {
  const by: Origin = { ...origin, actor: { kind: 'join-token', id: '01J' }, credential: { kind: 'join-token', id: '01J' }, traceId: 'ab'.repeat(16) };
  const event = JSON.parse(textOf({
    kind: 'certificate.issued', outcome: 'success', agentId: '01B', instanceId: '01C', serial: Uint8Array.of(1, 2), fingerprint: Uint8Array.of(0xfe, 0xdc), authority: '01I',
    detail: { profile: 'agent', generation: 1, notAfter: at.toISOString() },
  }, by)) as object;
  expect(event).toEqual({
    v: 2, id: expect.any(String) as unknown, kind: 'certificate.issued', outcome: 'success', at: at.toISOString(), actor: by.actor, credential: by.credential, traceId: by.traceId, requestId: 'req', source: '127.0.0.1',
    agent: '01B', instance: '01C', serial: '0102', fingerprint: 'fedc', authority: '01I', detail: { profile: 'agent', generation: 1, notAfter: at.toISOString() },
  });
});

test('who acts for somebody else says for whom', () => {
  const by: Origin = { ...origin, onBehalfOf: { kind: 'relying-party', id: '01R' }, credential: { kind: 'api-token', id: '01A', role: 'relying-party' } };
  expect(textOf({ kind: 'enforcement-point.left', outcome: 'success', target: '01E', detail: { relyingParty: '01R' } }, by)).toContain('"onBehalfOf":{"id":"01R","kind":"relying-party"}');
});

test('what is too long for an entry of the log is cut to its length and hash, and the rest stays', () => {
  const labels = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`label-${i}`, 'ä'.repeat(255)]));
  const row = encoded({ kind: 'agent.registered', outcome: 'success', agentId: '01B', detail: { name: 'a', labels, state: 'active' } });
  expect(row.event.length).toBeLessThanOrEqual(MAX_EVENT_OCTETS);
  const { detail } = JSON.parse(Buffer.from(row.event).toString('utf8')) as { detail: object };
  const sorted = `{${Object.keys(labels).toSorted().map((name) => `"${name}":"${labels[name]}"`).join(',')}}`;
  expect(detail).toEqual({ name: 'a', state: 'active', labels: { cut: { octets: Buffer.byteLength(sorted), sha256: createHash('sha256').update(sorted).digest('hex') } } });
});

test('what just fits is whole', () => {
  const says = (length: number): AuditEvent => ({ kind: 'world.moved', outcome: 'success', detail: { says: 'x'.repeat(length) } });
  const spare = MAX_EVENT_OCTETS - encoded(says(0)).event.length;
  expect(encoded(says(spare)).event.length).toBe(MAX_EVENT_OCTETS);
  expect(textOf(says(spare + 1))).toContain('"cut"');
});

test('an event that is too long without its detail is a fault of ours', () => {
  expect(() => encoded({ kind: 'partition.created', outcome: 'success', target: 'x'.repeat(MAX_EVENT_OCTETS) })).toThrow(RangeError);
});
