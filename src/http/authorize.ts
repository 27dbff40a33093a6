import type { Operation } from '../api/operation.ts';
import { ROLE_PERMISSIONS } from '../api/permissions.ts';
import { SignetError } from '../core/errors.ts';
import type { Caller } from './handler.ts';

/** What is permitted is what both the role and the narrowing (scopes of a token, registration of a relying party) have. @throws SignetError `permission-denied` */
export function authorize(caller: Caller, { permission }: Pick<Operation, 'permission'>): void {
  if (!ROLE_PERMISSIONS[caller.role].has(permission)) throw denied(permission, `the role ${caller.role} does not have`);
  if (caller.narrowedTo?.has(permission) === false) throw denied(permission, caller.relyingParty ? 'this relying party is not registered for' : 'the scopes of this token leave out');
}

const denied = (permission: string, why: string) => new SignetError('permission-denied', `this needs the permission ${permission}, which ${why}`);
