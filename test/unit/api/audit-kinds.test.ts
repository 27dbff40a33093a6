import fs from 'node:fs';
import { expect, test } from '@jest/globals';
import { AUDIT_KINDS } from '../../../src/api/audit-kinds.ts';

test('docs/auditor.md lists every kind of event, once', () => {
  const table = /\| recorded \| kinds \|\n[^\n]*\n((?:\|.*\n)+)/.exec(fs.readFileSync('docs/auditor.md', 'utf8'))?.[1] ?? '';
  const listed = [...table.matchAll(/^\|[^|]*\|(.*)\|$/gm)].flatMap(([, kinds]) => [...(kinds ?? '').split(/; the use of one|; the events of|: a credential/)[0]?.matchAll(/`([a-z-]+\.[a-z-]+)`/g) ?? []]).map(([, kind]) => kind);
  expect(listed.toSorted()).toEqual(AUDIT_KINDS.toSorted());
  expect(new Set(AUDIT_KINDS).size).toBe(AUDIT_KINDS.length);
});
