import { expect, test } from '@jest/globals';
import { narrowing, narrowingOfGrants, PERMISSIONS, permissionsOf, ROLE_PERMISSIONS, SCOPES, TOKEN_ROLES, type Permission } from '../../../src/api/permissions.ts';
import { authorize } from '../../../src/http/authorize.ts';
import type { Caller } from '../../../src/http/handler.ts';

const permits = (caller: Caller, permission: Permission): string => {
  try {
    authorize(caller, { permission });
    return 'yes';
  } catch (error) {
    return (error as Error).message;
  }
};
const operator: Caller = { kind: 'admin', id: 'A', role: 'operator' };

test('role and scopes must both have it, and the answer says which has not', () => {
  const scoped: Caller = { ...operator, narrowedTo: narrowing(['agents:read', 'audit:read'])! };
  expect(permits(operator, 'agents:write')).toBe('yes');
  expect(permits(scoped, 'agents:read')).toBe('yes');
  expect(permits(scoped, 'agents:write')).toBe('this needs the permission agents:write, which the scopes of this token leave out');
  // A scope gives nothing that the role does not have.
  expect(permits(scoped, 'audit:read')).toBe('this needs the permission audit:read, which the role operator does not have');
});

test('a token may always be asked what it is, but replaces itself only where its scopes say so', () => {
  const scoped: Caller = { ...operator, narrowedTo: narrowing(['agents:read'])! };
  expect([permits(scoped, 'own-token:read'), permits(scoped, 'public')]).toEqual(['yes', 'yes']);
  expect(permits(scoped, 'own-token:rotate')).toContain('scopes of this token leave out');
});

test('a relying party does what it is registered for', () => {
  const party = (mayAsk: ('status' | 'identity')[]): Caller => ({ kind: 'relying-party', id: 'P', role: 'relying-party', relyingParty: { id: 'P', mayAsk }, narrowedTo: narrowingOfGrants(mayAsk) });
  expect([permits(party(['status']), 'status:read'), permits(party(['status']), 'own-token:rotate')]).toEqual(['yes', 'yes']);
  expect(permits(party([]), 'status:read')).toBe('this needs the permission status:read, which this relying party is not registered for');
});

test('scopes are permissions that a token role has; what no role narrows is none', () => {
  expect(SCOPES.filter((scope) => !PERMISSIONS.includes(scope))).toEqual([]);
  expect(SCOPES).not.toContain('public');
  expect(SCOPES).not.toContain('certificates:issue');
  expect(TOKEN_ROLES.map((role) => [role, SCOPES.every((scope) => permissionsOf(role, narrowing(SCOPES)).has(scope) === ROLE_PERMISSIONS[role].has(scope))])).toEqual(TOKEN_ROLES.map((role) => [role, true]));
});

test('an admin can do whatever another token can: so it can make and rotate them all', () => {
  for (const role of TOKEN_ROLES) expect([role, [...ROLE_PERMISSIONS[role]].filter((permission) => !ROLE_PERMISSIONS.admin.has(permission))]).toEqual([role, []]);
});
