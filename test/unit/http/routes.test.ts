import { describe, expect, test } from '@jest/globals';
import { OPERATIONS } from '../../../src/api/operations.ts';
import { ROLE_PERMISSIONS } from '../../../src/api/permissions.ts';
import { operation, type Operation } from '../../../src/api/operation.ts';
import { nothing } from '../../../src/api/values.ts';
import { DOORS, route, type Columns } from '../../../src/http/route.ts';
import { ROUTES } from '../../../src/http/routes.ts';

const rows = ROUTES.map((row) => [row.operation.id, row] as const);
/** Who may come by each kind of authentication. */
const ROLES = {
  none: ['anonymous'],
  admin: ['admin', 'operator', 'auditor', 'relying-party'],
  enrollment: ['enrollment'],
  'client-certificate': ['agent'],
  'relying-party-or-admin': ['admin', 'operator', 'auditor', 'relying-party', 'agent'],
} as const;

test('every operation has one row, in the order of the contract', () => {
  expect(ROUTES.map((row) => row.operation.id)).toEqual(Object.keys(OPERATIONS));
});

test.each(rows)('%s has every column', (_, row) => {
  expect(row.on.length).toBeGreaterThan(0);
  expect(row.on.every((door) => DOORS.includes(door))).toBe(true);
  expect(Object.keys(ROLES)).toContain(row.as);
  expect(['read', 'change', 'issue', 'status', 'health']).toContain(row.rate);
  expect(row.operation.permission).toMatch(/^(public|[a-z-]+:[a-z]+)$/);
  expect(typeof (typeof row.handler === 'function' ? row.handler : row.handler.creating)).toBe('function');
});

describe('a row without one of these is not served', () => {
  const base = { id: 'bad', method: 'post', path: '/bad', tag: 't', summary: 's', permission: 'agents:read', params: nothing, query: nothing, body: nothing, consumes: ['application/json'], responses: {}, errors: [], creates: false } as const;
  const good: Columns<Operation> = { on: ['api'], as: 'admin', rate: 'read', body: 'json', handler: () => ({ status: 204 }) };
  const row = (contract: object, columns: object) => () => route(operation({ ...base, ...contract }), { ...good, ...columns });

  test('as it should be', () => expect(row({}, {})).not.toThrow());
  test.each([
    ['permission', { permission: undefined }, {}],
    ['permission', { permission: 'agents:everything' }, {}],
    ['rate class', {}, { rate: undefined }],
    ['rate class', {}, { rate: 'unlimited' }],
    ['body limit', {}, { body: undefined }],
    ['body limit', {}, { body: 'toString' }],
    ['body limit', {}, { body: 'none' }],
    ['body limit', { consumes: [] }, {}],
    ['authentication', {}, { as: undefined }],
    ['authentication', {}, { as: 'none' }],
    ['authentication', { permission: 'public' }, {}],
    ['handler', {}, { handler: undefined }],
  ])('%s: %j %j', (column, contract, columns) => {
    expect(row(contract, columns)).toThrow(new RegExp(`^the route of bad lacks (.*, )?${column}`));
  });
});

test.each(rows)('%s: a body is read exactly where one is taken', (_, row) => {
  expect(row.body === 'none').toBe(row.operation.consumes.length === 0);
});

test.each(rows)('%s: somebody who can authenticate there has the permission, and only public routes take anyone', (_, row) => {
  expect(ROLES[row.as].some((role) => ROLE_PERMISSIONS[role].has(row.operation.permission))).toBe(true);
  expect(row.as === 'none').toBe(row.operation.permission === 'public');
});

test('no route of a plain-text door takes a credential', () => {
  for (const row of ROUTES.filter(({ on }) => on.includes('status') || on.includes('operations'))) expect([row.operation.id, row.as]).toEqual([row.operation.id, 'none']);
});

test('what creates keeps its answer: in its own transaction, or in the commit of the certificate', () => {
  const creates = ROUTES.filter((row) => row.operation.creates);
  expect(creates.filter((row) => typeof row.handler === 'function').map((row) => row.operation.id)).toEqual(['issueCertificate', 'renewCertificate']);
  expect(ROUTES.filter((row) => typeof row.handler !== 'function' && !row.operation.creates)).toEqual([]);
});

test('a certificate is renewed only where a client certificate can be shown', () => {
  for (const row of ROUTES) if (row.as === 'client-certificate') expect(row.on).toEqual(['mtls']);
});
