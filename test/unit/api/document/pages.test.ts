import { expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { escape, inline } from '../../../../src/api/document/html.ts';
import { OPERATIONS } from '../../../../src/api/operations.ts';
import { ERROR_CODES } from '../../../../src/core/errors.ts';
import { createDocuments } from '../../../../src/http/documents.ts';
import { ROUTES } from '../../../../src/http/routes.ts';

const documents = createDocuments({ apiUrl: 'https://signet.example', mtlsUrl: 'https://signet.example:8444', publicUrl: 'http://signet.example' }, ROUTES);
const text = ({ bytes }: { bytes?: Uint8Array }): string => Buffer.from(bytes ?? []).toString('utf8');
const idsOf = (html: string): string[] => [...html.matchAll(/ id="([^"]+)"/g)].map(([, id = '']) => id);

test('the page shows every operation under its id, with an example', () => {
  const html = text(documents.docs());
  expect(idsOf(html)).toEqual(expect.arrayContaining(Object.keys(OPERATIONS)));
  expect(new Set(idsOf(html)).size).toBe(idsOf(html).length);
  expect(html.match(/<code>curl -sSf/g)).toHaveLength(Object.keys(OPERATIONS).length);
});

test('every link of the pages leads to an anchor that is there', () => {
  const pages: Record<string, string> = { '/docs': text(documents.docs()), '/errors': text(documents.errors('html')) };
  for (const [name, html] of Object.entries(pages)) {
    for (const [, target = ''] of html.matchAll(/href="([^"]+)"/g)) {
      const [path = '', anchor] = target.split('#');
      if (anchor !== undefined) expect([target, idsOf(pages[path || name] ?? '').includes(anchor)]).toEqual([target, true]);
      else expect(['/docs', '/errors', '/openapi.json']).toContain(target);
    }
  }
});

test('every code has its anchor, where the type of a problem leads', () => {
  expect(idsOf(text(documents.errors('html')))).toEqual(expect.arrayContaining([...ERROR_CODES]));
});

test.each([['docs', documents.docs()], ['errors', documents.errors('html')]])('%s: nothing from elsewhere, no script, and the policy allows exactly the one style sheet', (_, answer) => {
  const html = text(answer);
  expect(html).not.toMatch(/<script|<img|<iframe|<link|<form|\son\w+=|style="|javascript:|@import|url\(/i);
  expect([...html.matchAll(/(?:src|href)="([^"]*)"/g)].filter(([, target = '']) => !/^[/#]/.test(target))).toEqual([]);
  const [, style = ''] = /<style>(.*?)<\/style>/s.exec(html) ?? [];
  const policy = answer.headers?.['content-security-policy'] ?? '';
  expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
});

test('what is put into a page cannot become markup', () => {
  expect(escape('<a href="x">&')).toBe('&lt;a href=&quot;x&quot;&gt;&amp;');
  expect(inline('`<b>` & c')).toBe('<code>&lt;b&gt;</code> &amp; c');
});
