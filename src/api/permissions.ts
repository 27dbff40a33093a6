/** What a caller may be permitted to do. `public` is what anyone may. Each route of http/routes.ts needs exactly one. */
export const PERMISSIONS = [
  'public',
  'agents:read',
  'agents:write',
  'agents:suspend',
  'agents:retire',
  'join-tokens:read',
  'join-tokens:create',
  'certificates:issue',
  'certificates:renew',
  'certificates:read',
  'certificates:revoke',
  'status:read',
  'authorities:read',
  'authorities:manage',
  'admin-tokens:read',
  'admin-tokens:manage',
  'audit:read',
  'jobs:read',
  'findings:read',
  'findings:resolve',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Roles an API token can have (column admin_tokens.role). */
export const TOKEN_ROLES = ['admin', 'operator', 'auditor', 'relying-party'] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

/** Roles of every caller: token roles, and those that come from another credential (a join token, a client certificate, none). */
export type Role = TokenRole | 'enrollment' | 'agent' | 'anonymous';

const READ: readonly Permission[] = ['public', 'agents:read', 'join-tokens:read', 'certificates:read', 'status:read', 'authorities:read', 'jobs:read', 'findings:read'];
const OPERATE: readonly Permission[] = [...READ, 'agents:write', 'agents:suspend', 'agents:retire', 'join-tokens:create', 'certificates:revoke', 'findings:resolve'];

/** What each role is permitted. Nobody but the holder of a join token enrolls; nobody but the holder of a certificate renews it. */
export const ROLE_PERMISSIONS: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  admin: new Set<Permission>([...OPERATE, 'authorities:manage', 'admin-tokens:read', 'admin-tokens:manage', 'audit:read']),
  operator: new Set<Permission>(OPERATE),
  auditor: new Set<Permission>([...READ, 'admin-tokens:read', 'audit:read']),
  'relying-party': new Set<Permission>(['public', 'status:read']),
  enrollment: new Set<Permission>(['public', 'certificates:issue']),
  agent: new Set<Permission>(['public', 'certificates:renew', 'status:read']),
  anonymous: new Set<Permission>(['public']),
};
