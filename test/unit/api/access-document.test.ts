import fs from 'node:fs';
import { expect, test } from '@jest/globals';
import { PERMISSIONS, ROLE_PERMISSIONS, type Role } from '../../../src/api/permissions.ts';

const ROLES: readonly Role[] = ['admin', 'operator', 'auditor', 'relying-party', 'enrollment', 'agent'];

test('docs/access.md: its table of roles and permissions is the one of the code', () => {
  const page = fs.readFileSync('docs/access.md', 'utf8');
  const rows = PERMISSIONS.filter((permission) => permission !== 'public').map(
    (permission) => `| \`${permission}\` |${ROLES.map((role) => (ROLE_PERMISSIONS[role].has(permission) ? ' yes |' : ' |')).join('')}`,
  );
  const table = ['| permission | admin | operator | auditor | relying-party | enrollment | agent |', '|---|---|---|---|---|---|---|', ...rows].join('\n');
  expect(page.slice(page.indexOf('| permission |')).split('\n\n')[0]).toBe(table);
});
