import { ERROR_CODES } from '../../core/errors.ts';
import { ERROR_TABLE, PROBLEM_MEMBERS } from '../error-codes.ts';
import { escape, inline, page } from './html.ts';
import type { OpenApiDocument } from './openapi.ts';

/** The error codes as a page to read: the `type` of a problem leads to the anchor of its code. */
export function errorsPage(document: OpenApiDocument): string {
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const sections = ERROR_CODES.map((code) => {
    const { status, title, next } = ERROR_TABLE[code];
    const from = operations.filter((operation) => operation['x-error-codes'].includes(code));
    return `<section id="${code}"><h3><code>${code}</code></h3>
<p><span class="status bad">${status}</span> ${escape(title)}.</p>
<p>${inline(next)}</p>
<p class="facts">${from.length === operations.length ? 'Any operation.' : from.map(({ operationId }) => `<span><a href="/docs#${operationId}">${operationId}</a></span>`).join('')}</p></section>`;
  });
  const members = PROBLEM_MEMBERS.map(([name, meaning]) => `<tr><td><code>${name}</code></td><td>${inline(meaning)}</td></tr>`);
  return page(
    'Signet errors',
    `<main class="narrow" id="top"><p><a href="/docs">Signet API</a></p><h1>Errors</h1>
<p>Every error answer is <code>application/problem+json</code> (RFC 9457) with these members:</p>
<table><tbody>${members.join('\n')}</tbody></table>
<p>A <code>Retry-After</code> header says when a retry makes sense.</p>
${sections.join('\n')}</main>`,
  );
}
