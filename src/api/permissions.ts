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
  'feed:read',
  'feed:acknowledge',
  'enforcement-points:read',
  'authorities:read',
  'authorities:manage',
  'own-token:read',
  'own-token:rotate',
  'admin-tokens:read',
  'admin-tokens:manage',
  'relying-parties:read',
  'relying-parties:manage',
  'audit:read',
  'jobs:read',
  'findings:read',
  'findings:resolve',
  'kills:read',
  'kills:write',
  'renewals:steer',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Roles of people and of programs that administer; a token of one of them belongs to nobody but its holder. */
export const ADMIN_ROLES = ['admin', 'operator', 'auditor'] as const;
export type AdminRole = (typeof ADMIN_ROLES)[number];

/** Roles an API token can have (column admin_tokens.role). */
export const TOKEN_ROLES = [...ADMIN_ROLES, 'relying-party'] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

/**
 * Roles of every caller: token roles, and those that come from another credential (a join token, a client certificate, none). `status-reader` is whoever
 * asks for status without a credential where config `statusAccess` is `open`.
 */
export type Role = TokenRole | 'enrollment' | 'agent' | 'anonymous' | 'status-reader';

const OWN: readonly Permission[] = ['public', 'own-token:read', 'own-token:rotate'];
const READ: readonly Permission[] = [
  ...OWN, 'agents:read', 'join-tokens:read', 'certificates:read', 'status:read', 'feed:read', 'enforcement-points:read', 'authorities:read', 'relying-parties:read', 'jobs:read', 'findings:read', 'kills:read',
];
const OPERATE: readonly Permission[] = [
  ...READ, 'agents:write', 'agents:suspend', 'agents:retire', 'join-tokens:create', 'certificates:revoke', 'relying-parties:manage', 'findings:resolve', 'renewals:steer',
  // Nobody gives away more than they have: it lets them make tokens of relying parties. They have no enforcement points.
  'feed:acknowledge',
];

/** What each role is permitted at most. Nobody but the holder of a join token enrolls; nobody but the holder of a certificate renews it. */
export const ROLE_PERMISSIONS: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  admin: new Set<Permission>([...OPERATE, 'authorities:manage', 'admin-tokens:read', 'admin-tokens:manage', 'audit:read', 'kills:write']),
  operator: new Set<Permission>(OPERATE),
  auditor: new Set<Permission>([...READ, 'admin-tokens:read', 'audit:read']),
  'relying-party': new Set<Permission>([...OWN, 'status:read', 'feed:read', 'feed:acknowledge']),
  enrollment: new Set<Permission>(['public', 'certificates:issue']),
  agent: new Set<Permission>(['public', 'certificates:renew', 'status:read']),
  anonymous: new Set<Permission>(['public']),
  'status-reader': new Set<Permission>(['public', 'status:read']),
};

/** What no narrowing takes away: a token may always be asked what it is. */
const UNNARROWED: readonly Permission[] = ['public', 'own-token:read'];

/** What a token can be narrowed to. */
export const SCOPES = PERMISSIONS.filter((permission) => !UNNARROWED.includes(permission) && TOKEN_ROLES.some((role) => ROLE_PERMISSIONS[role].has(permission)));

/** What scopes leave; undefined when there are none: all of the role. */
export const narrowing = (scopes: readonly Permission[] | null): ReadonlySet<Permission> | undefined => (scopes === null ? undefined : new Set([...UNNARROWED, ...scopes]));

/** What a role with scopes is permitted, in the order of the list: both must have it. */
export function permissionsOf(role: Role, narrowedTo: ReadonlySet<Permission> | undefined): Set<Permission> {
  return new Set(PERMISSIONS.filter((permission) => ROLE_PERMISSIONS[role].has(permission) && (narrowedTo?.has(permission) ?? true)));
}

/** What a relying party may ask: the status of certificates, beside it which agent and instance a certificate belongs to, and to follow the live feed. */
export const RELYING_PARTY_GRANTS = ['status', 'identity', 'feed'] as const;
export type RelyingPartyGrant = (typeof RELYING_PARTY_GRANTS)[number];

/** What the registration of a relying party leaves of its role. */
export const narrowingOfGrants = (mayAsk: readonly RelyingPartyGrant[]): ReadonlySet<Permission> => 
  new Set([...OWN, ...(mayAsk.includes('status') ? (['status:read'] as const) : []), ...(mayAsk.includes('feed') ? (['feed:read', 'feed:acknowledge'] as const) : [])]);
