import { createHash } from 'node:crypto';
import { docsPage } from '../api/document/docs-page.ts';
import { errorsPage } from '../api/document/errors-page.ts';
import { STYLE } from '../api/document/html.ts';
import { openApiDocument, type OpenApiDocument } from '../api/document/openapi.ts';
import type { Serving } from '../api/document/serving.ts';
import { documentErrors } from '../api/error-codes.ts';
import type { OperationId } from '../api/operations.ts';
import type * as api from '../api/public.ts';
import type { Config } from '../config/schema.ts';
import { publicBytes } from './answers.ts';
import type { Answer, Documents, HandlerOf } from './handler.ts';
import type { Route } from './route.ts';

/** They change with a new version of the program, or another address. */
const MAX_AGE_SECONDS = 300;
const HTML = 'text/html; charset=utf-8';
/** A page may use its one style sheet, and nothing else: no script, no frame, no form, nothing from elsewhere. */
const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export function createDocuments(config: Pick<Config, 'apiUrl' | 'mtlsUrl' | 'publicUrl'>, routes: readonly Route[]): Documents {
  const document = once((): OpenApiDocument => {
    const serving = Object.fromEntries(routes.map(({ operation, on, as, rate, lean }): [string, Serving] => [operation.id, { on, as, rate, lean }])) as Record<OperationId, Serving>;
    return openApiDocument(serving, { api: config.apiUrl, mtls: config.mtlsUrl, status: config.publicUrl });
  });
  const errors = { html: once(() => negotiated(page(errorsPage(document())))), markdown: once(() => negotiated(publicBytes(Buffer.from(documentErrors()), 'text/markdown; charset=utf-8', MAX_AGE_SECONDS))) };
  return {
    openApi: once(() => publicBytes(Buffer.from(JSON.stringify(document())), 'application/json', MAX_AGE_SECONDS)),
    docs: once(() => page(docsPage(document()))),
    errors: (as) => errors[as](),
  };
}

const page = (html: string): Answer => withHeader(publicBytes(Buffer.from(html), HTML, MAX_AGE_SECONDS), 'content-security-policy', PAGE_POLICY);
const negotiated = (answer: Answer): Answer => withHeader(answer, 'vary', 'accept');
const withHeader = (answer: Answer, name: string, value: string): Answer => ({ ...answer, headers: { ...answer.headers, [name]: value } });

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** GET /openapi.json */
export const getOpenApi: HandlerOf<typeof api.getOpenApi> = (_ctx, { documents }) => documents.openApi();

/** GET /docs */
export const getDocsPage: HandlerOf<typeof api.getDocsPage> = (_ctx, { documents }) => documents.docs();

/** GET /errors: where the `type` of a problem leads. Browsers ask for HTML by name; everything else reads Markdown as it is. */
export const getErrorsDocument: HandlerOf<typeof api.getErrorsDocument> = (_ctx, { documents, accept }) => documents.errors(accept?.includes('text/html') === true ? 'html' : 'markdown');
