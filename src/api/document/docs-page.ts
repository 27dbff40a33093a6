import { ERROR_TABLE } from '../error-codes.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { curlOf } from './curl.ts';
import { escape, inline, page, paragraphs } from './html.ts';
import type { DocumentedParameter, OpenApiDocument, PathOperation } from './openapi.ts';
import { DOORS } from './parts.ts';
import { membersOf, typeOf, type Member } from './schema-members.ts';
import type { ServingDoor } from './serving.ts';

interface Listed extends PathOperation {
  method: string;
  path: string;
}

/** The OpenAPI document as a page to read: operations by tag, with parameters, members, examples and errors. */
export function docsPage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]): Listed => ({ method, path, ...operation })));
  const tags = document.tags.map((tag) => ({ ...tag, operations: operations.filter((operation) => operation.tags[0] === tag.name) }));
  const nav = tags.map(({ name, operations: listed }) => `<h2>${escape(name)}</h2>\n<ul>${listed.map((one) => `<li><a href="#${one.operationId}">${escape(one.summary.split(/[:;]/)[0] ?? '')}</a></li>`).join('')}</ul>`);
  const sections = tags.map(({ name, description, operations: listed }) => `<h2 id="${anchor(name)}">${escape(name)}</h2>\n<p>${inline(description)}</p>\n${listed.map((one) => section(document, one)).join('\n')}`);
  return page(
    `${document.info.title} API`,
    `<div class="frame"><nav><a href="#top"><strong>${escape(document.info.title)} API</strong></a><ul><li><a href="/errors">Errors</a></li><li><a href="/openapi.json">openapi.json</a></li></ul>
${nav.join('\n')}</nav>
<main id="top"><h1>${escape(document.info.title)} API</h1><p class="facts">version ${escape(document.info.version)} · OpenAPI ${document.openapi}</p>
${paragraphs(document.info.description)}
${credentials(document)}
${sections.join('\n')}
</main></div>`,
  );
}

const anchor = (name: string): string => `tag-${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`;

function credentials(document: OpenApiDocument): string {
  const rows = Object.entries(document.components['securitySchemes'] ?? {}).map(([name, scheme]) => `<tr><td><code>${name}</code></td><td>${inline((scheme as { description: string }).description)}</td></tr>`);
  return `<h4>Who asks</h4>\n${table(['credential', ''], rows)}\n<p>In the examples the file <code>admin.header</code> holds <code>Authorization: Bearer</code> with an API token, <code>join.header</code> with a join token, and <code>root.pem</code> the root that Signet showed at its start: secrets stay out of command lines.</p>`;
}

function section(document: OpenApiDocument, operation: Listed): string {
  const { method, path, summary, operationId, description } = operation;
  return `<section id="${operationId}"><h3>${inline(summary)}</h3>
<div class="path"><span class="verb ${method}">${method}</span>${escape(path)}</div>
<p class="facts">${facts(operation).map((fact) => `<span>${fact}</span>`).join('')}</p>
${paragraphs(description)}
${parameters(document, operation)}
${request(document, operation)}
${answers(document, operation)}
${errors(operation)}
</section>`;
}

function facts(operation: Listed): string[] {
  const credential = operation.security.flatMap((one) => Object.entries(one)).map(([scheme, roles]) => (roles.length > 0 ? `${scheme} (${roles.join(', ')})` : scheme));
  return [
    credential.length > 0 ? escape(credential.join(' or ')) : 'open to anyone',
    ...(operation['x-permission'] === 'public' ? [] : [`permission <code>${operation['x-permission']}</code>`]),
    escape(operation['x-doors'].map((door) => DOORS[door as ServingDoor].split(':')[0] ?? '').join(', ')),
    `<code>${operation.operationId}</code>`,
  ];
}

function parameters(document: OpenApiDocument, operation: Listed): string {
  if (operation.parameters.length === 0) return '';
  const rows = operation.parameters.map((parameter) => {
    const { name, in: place, required, description, schema } = resolve<DocumentedParameter>(document, parameter);
    return row({ name, type: `${place}, ${typeOf(document, schema)}`, required, description });
  });
  return `<h4>Parameters</h4>\n${table(['name', 'where, type', ''], rows)}`;
}

function request(document: OpenApiDocument, operation: Listed): string {
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const members = bodies.flatMap(([, { schema }]) => membersOf(document, schema));
  const types = bodies.map(([type]) => `<code>${type}</code>`).join(' or ');
  const heading = bodies.length === 0 ? '' : `<h4>Body: ${types}${operation.requestBody?.required === false ? ', may be left out' : ''}</h4>\n`;
  return `${heading}${members.length > 0 ? table(['member', 'type', ''], members.map(row)) : ''}<h4>Example</h4>\n<pre><code>${escape(curlOf(operation))}</code></pre>`;
}

/** Headers that need no word at each answer. */
const EVERYWHERE: readonly string[] = ['request-id', 'ratelimit-policy', 'ratelimit'];

function answers(document: OpenApiDocument, operation: Listed): string {
  return Object.entries(operation.responses)
    .filter(([, { content = {} }]) => !('application/problem+json' in content))
    .map(([status, { description, content = {}, headers }]) => {
      const names = Object.keys(headers).filter((name) => !EVERYWHERE.includes(name));
      const examples = Object.entries(content).map(([type, { examples: given }]) => {
        const value = given?.['example']?.value;
        return `<p class="facts"><code>${type}</code></p>${value === undefined ? '' : `<pre><code>${escape(typeof value === 'string' ? value : JSON.stringify(value, null, 2))}</code></pre>`}`;
      });
      const [json] = Object.entries(content).filter(([type]) => type === 'application/json');
      const members = json && Number(status) < 300 ? membersOf(document, json[1].schema).filter((member) => member.description !== '') : [];
      return `<h4>Answer <span class="status ${Number(status) < 400 ? 'good' : 'bad'}">${status}</span></h4>\n<p>${inline(description)}${names.length > 0 ? ` Headers: ${names.map((name) => `<code>${name}</code>`).join(', ')}.` : ''}</p>\n${examples.join('\n')}${members.length > 0 ? table(['member', 'type', ''], members.map((member) => row({ ...member, required: false }))) : ''}`;
    })
    .join('\n');
}

function errors(operation: Listed): string {
  const links = operation['x-error-codes'].toSorted((a, b) => ERROR_TABLE[a].status - ERROR_TABLE[b].status).map((code: ErrorCode) => `<a href="/errors#${code}">${code}</a> ${ERROR_TABLE[code].status}`);
  return `<h4>Errors</h4>\n<p class="facts">${links.map((link) => `<span>${link}</span>`).join('')}</p>`;
}

const row = ({ name, type, required, description }: Member): string =>
  `<tr><td><code>${escape(name)}</code>${required ? ' <span class="need" title="required">*</span>' : ''}</td><td>${escape(type)}</td><td>${inline(description)}</td></tr>`;

const table = (heads: readonly string[], rows: readonly string[]): string =>
  `<div class="scroll"><table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;

function resolve<T>(document: OpenApiDocument, part: T | { $ref: string }): T {
  if (typeof part !== 'object' || part === null || !('$ref' in part)) return part;
  const [kind = '', name = ''] = part.$ref.split('/').slice(2);
  return document.components[kind]?.[name] as T;
}
