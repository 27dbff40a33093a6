import type { Operation } from '../api/operation.ts';
import { ROLE_PERMISSIONS } from '../api/permissions.ts';
import { SignetError } from '../core/errors.ts';
import type { Caller } from './handler.ts';

/** @throws SignetError `permission-denied` when the caller's role lacks the permission of the operation */
export function authorize(caller: Caller, operation: Pick<Operation, 'permission'>): void {
  if (ROLE_PERMISSIONS[caller.role].has(operation.permission)) return;
  throw new SignetError('permission-denied', `this needs the permission ${operation.permission}, which the role ${caller.role} does not have`);
}
