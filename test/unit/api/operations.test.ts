import { expect, test } from '@jest/globals';
import { z } from 'zod';
import type { Operation } from '../../../src/api/operation.ts';
import { OPERATIONS as BY_ID } from '../../../src/api/operations.ts';
import { PERMISSIONS, ROLE_PERMISSIONS } from '../../../src/api/permissions.ts';
import { registerAgentBody, changeAgentBody, listAgentsQuery } from '../../../src/api/agents.ts';
import { createJoinTokenBody } from '../../../src/api/join-tokens.ts';

const OPERATIONS: Operation[] = Object.values(BY_ID);
const parameters = (path: string) => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);

test('operations are listed under their ids; method with path is unique', () => {
  expect(OPERATIONS.map((operation) => operation.id)).toEqual(Object.keys(BY_ID));
  expect(new Set(OPERATIONS.map((operation) => `${operation.method} ${operation.path}`)).size).toBe(OPERATIONS.length);
});

test.each(OPERATIONS.map((operation) => [operation.id, operation] as const))('%s: path parameters and their schema agree', (_, operation) => {
  const schema = z.toJSONSchema(operation.params, { io: 'input', unrepresentable: 'any' }) as { properties?: object; additionalProperties?: boolean };
  expect(Object.keys(schema.properties ?? {})).toEqual(parameters(operation.path));
  expect(schema.additionalProperties).toBe(false);
});

test.each(OPERATIONS.map((operation) => [operation.id, operation] as const))('%s: can be documented: summary, answers, schemas', (_, operation) => {
  expect(operation.summary).toMatch(/^[A-Z]/);
  expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
  expect(() => z.toJSONSchema(operation.query, { io: 'input', unrepresentable: 'any' })).not.toThrow();
  expect(() => z.toJSONSchema(operation.body, { io: 'input', unrepresentable: 'any' })).not.toThrow();
  for (const response of Object.values(operation.responses)) if (response.schema) expect(() => z.toJSONSchema(response.schema!, { unrepresentable: 'any' })).not.toThrow();
});

test('only a POST creates or has a body, and a GET never', () => {
  for (const operation of OPERATIONS) {
    if (operation.creates) expect(operation.method).toBe('post');
    if (operation.method === 'get') expect(operation.consumes).toEqual([]);
    else expect(operation.consumes.length).toBeGreaterThan(0);
  }
});

test('every permission is needed by an operation and held by a role', () => {
  expect(PERMISSIONS.filter((permission) => !OPERATIONS.some((operation) => operation.permission === permission))).toEqual([]);
  expect(PERMISSIONS.filter((permission) => !Object.values(ROLE_PERMISSIONS).some((held) => held.has(permission)))).toEqual([]);
});

test('an auditor and a relying party change nothing; nobody with a token enrolls or renews', () => {
  // Its own token everybody may replace, and say what it has applied: that gives nobody more.
  const isChange = (permission: string) => !permission.endsWith(':read') && permission !== 'public' && permission !== 'own-token:rotate' && permission !== 'feed:acknowledge';
  expect([...ROLE_PERMISSIONS.auditor, ...ROLE_PERMISSIONS['relying-party'], ...ROLE_PERMISSIONS.anonymous].filter(isChange)).toEqual([]);
  for (const role of ['admin', 'operator', 'auditor', 'relying-party'] as const) {
    expect(ROLE_PERMISSIONS[role].has('certificates:issue') || ROLE_PERMISSIONS[role].has('certificates:renew')).toBe(false);
  }
});

test('a registration: defaults, normal forms, unknown members', () => {
  const minimal = { name: 'billing', purpose: 'pays bills' };
  expect(registerAgentBody.parse({ ...minimal, ownerEmail: 'Ada@Example.COM', dnsNames: ['API.example.com'] })).toEqual({
    ...minimal, ownerEmail: 'ada@example.com', dnsNames: ['api.example.com'], riskClass: 'limited', environment: 'production', profile: 'agent',
  });
  for (const wrong of [{ ...minimal, name: '-x' }, { ...minimal, name: 'A' }, { ...minimal, extra: 1 }, { ...minimal, ownerEmail: null }, { ...minimal, labels: { '': 'x' } }, { ...minimal, purpose: 'a\u0000b' }, []]) {
    expect(registerAgentBody.safeParse(wrong).success).toBe(false);
  }
});

test('a change must change something, and adds no defaults', () => {
  expect(changeAgentBody.safeParse({}).success).toBe(false);
  expect(changeAgentBody.parse({ deputyEmail: null })).toEqual({ deputyEmail: null });
});

test('labels of a query become a record; a pair without = is refused', () => {
  expect(listAgentsQuery.parse({ label: ['team=core', 'tier=a=b'] }).label).toEqual({ team: 'core', tier: 'a=b' });
  expect(listAgentsQuery.parse({ label: 'team=' }).label).toEqual({ team: '' });
  expect(listAgentsQuery.safeParse({ label: 'team' }).success).toBe(false);
});

test('a join token: networks, key hash, positive TTL', () => {
  expect(createJoinTokenBody.parse({ sourceCidrs: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1'], boundKeyHash: 'AB'.repeat(32), ttlSeconds: 60 })).toMatchObject({ boundKeyHash: 'ab'.repeat(32) });
  for (const wrong of [{ sourceCidrs: ['10.0.0.0/33'] }, { sourceCidrs: ['example.com'] }, { boundKeyHash: 'ab' }, { ttlSeconds: 0 }, { ttlSeconds: 1.5 }]) {
    expect(createJoinTokenBody.safeParse(wrong).success).toBe(false);
  }
});
