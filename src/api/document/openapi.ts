import type { ErrorCode } from '../../core/errors.ts';
import { ERROR_TABLE } from '../error-codes.ts';
import { EXAMPLES } from '../examples/index.ts';
import type { OperationExample } from '../examples/example.ts';
import type { Operation, ResponseContract } from '../operation.ts';
import { OPERATIONS, type OperationId } from '../operations.ts';
import { problem } from '../values.ts';
import { API_VERSION, HEADERS, INTRODUCTION, PARAMETERS, SECURITY_SCHEMES, serversOf, TAGS, type ServerAddresses } from './parts.ts';
import { createSchemaBook, type JsonSchema, type SchemaBook } from './schemas.ts';
import { credentialsOf, errorsOf, isLimited, tokenRolesOf, type Serving } from './serving.ts';

/** An OpenAPI 3.1 document. */
export interface OpenApiDocument {
  openapi: string;
  info: { title: string; version: string; summary: string; description: string; license: { name: string; identifier: string } };
  servers: unknown[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, PathOperation>>;
  components: Record<string, Record<string, unknown>>;
}

interface MediaType {
  schema: JsonSchema;
  examples?: Record<string, { value?: unknown; $ref?: string }>;
}

export interface DocumentedParameter {
  name: string;
  in: 'path' | 'query';
  required: boolean;
  description: string;
  schema: JsonSchema;
  example?: string | number;
}

export interface PathOperation {
  operationId: string;
  tags: [string];
  summary: string;
  description: string;
  servers: unknown[];
  security: Record<string, string[]>[];
  parameters: (DocumentedParameter | { $ref: string })[];
  requestBody?: { required: boolean; content: Record<string, MediaType> };
  responses: Record<string, { description: string; headers: Record<string, unknown>; content?: Record<string, MediaType> }>;
  'x-permission': string;
  'x-doors': string[];
  'x-rate-class': string;
  'x-error-codes': ErrorCode[];
}

export const PROBLEM_TYPE = 'application/problem+json';

/** The document of all operations. `serving` are the columns of the route table, `servers` the addresses of this installation. */
export function openApiDocument(serving: Readonly<Record<OperationId, Serving>>, servers: ServerAddresses): OpenApiDocument {
  const schemas = createSchemaBook();
  schemas.of(problem);
  const paths: OpenApiDocument['paths'] = {};
  for (const [id, operation] of Object.entries(OPERATIONS) as [OperationId, Operation][]) {
    (paths[operation.path] ??= {})[operation.method] = pathOperation(operation, EXAMPLES[id], serving[id], servers, schemas);
  }
  const codes = new Set(Object.values(paths).flatMap((methods) => Object.values(methods).flatMap((operation) => operation['x-error-codes'])));
  return {
    openapi: '3.1.0',
    info: { title: 'Signet', version: API_VERSION, summary: 'Certificates for AI agents', description: INTRODUCTION, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: serversOf(['api'], servers),
    tags: TAGS.map((tag) => ({ ...tag })),
    paths,
    components: { schemas: sorted(schemas.named), parameters: PARAMETERS, headers: HEADERS, examples: problemExamples(servers.api, codes), securitySchemes: SECURITY_SCHEMES },
  };
}

function pathOperation(operation: Operation, example: OperationExample, serving: Serving, servers: ServerAddresses, schemas: SchemaBook): PathOperation {
  const { id, tag, summary, permission } = operation;
  const codes = errorsOf(operation, serving);
  const requestBody = requestBodyOf(operation, example, schemas);
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: example.description,
    servers: serversOf(serving.on, servers),
    security: credentialsOf(serving).map(({ scheme }) => ({ [scheme]: scheme === 'apiToken' ? tokenRolesOf(operation) : [] })),
    parameters: parametersOf(operation, example, schemas),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: Object.fromEntries([...answersOf(operation, serving, { example, schemas }), ...problemsOf(codes, schemas)].toSorted(([a], [b]) => Number(a) - Number(b))),
    'x-permission': permission,
    'x-doors': [...serving.on],
    'x-rate-class': serving.rate,
    'x-error-codes': codes,
  };
}

function parametersOf(operation: Operation, example: OperationExample, schemas: SchemaBook): PathOperation['parameters'] {
  const parameters: PathOperation['parameters'] = [];
  for (const [place, schema, examples] of [['path', operation.params, example.params], ['query', operation.query, example.query]] as const) {
    const { properties = {}, required = [] } = schemas.of(schema);
    for (const [name, { description, ...rest }] of Object.entries(properties)) {
      const value = examples?.[name];
      parameters.push({
        name, in: place, required: required.includes(name), description: description ?? describedBy(rest, schemas), schema: rest,
        ...(value === undefined ? {} : { example: rest.type === 'integer' ? Number(value) : value }),
      });
    }
  }
  const headers = [...(operation.creates ? ['IdempotencyKey'] : []), ...(operation.ifMatch === true ? ['IfMatch'] : []), ...(304 in operation.responses ? ['IfNoneMatch'] : [])];
  return [...parameters, ...headers.map((name) => ({ $ref: `#/components/parameters/${name}` }))];
}

/** What the named schema says of itself. */
function describedBy({ $ref }: JsonSchema, schemas: SchemaBook): string {
  const named = $ref !== undefined ? schemas.named[$ref.slice($ref.lastIndexOf('/') + 1)] : undefined;
  return named?.description ?? '';
}

function requestBodyOf(operation: Operation, example: OperationExample, schemas: SchemaBook): PathOperation['requestBody'] {
  const { consumes, body, id } = operation;
  if (consumes.length === 0) return undefined;
  const content = consumes.map((mediaType) => [mediaType, mediaTypeOf(mediaType === 'application/json' ? schemas.of(body, `${capital(id)}Request`) : BINARY, example.requests?.[mediaType])]);
  const isOptional = consumes.includes('application/json') && body.safeParse({}).success;
  return { required: !isOptional, content: Object.fromEntries(content) as Record<string, MediaType> };
}

function answersOf(operation: Operation, serving: Serving, { example, schemas }: { example: OperationExample; schemas: SchemaBook }): [string, PathOperation['responses'][string]][] {
  return Object.entries(operation.responses).map(([status, response]) => {
    const content = response.contentTypes.map((contentType) => {
      const schema = contentType === 'application/json' && response.schema ? schemas.of(response.schema, `${capital(operation.id)}Answer`) : isText(contentType) ? TEXT : BINARY;
      return [contentType, mediaTypeOf(schema, example.answers[Number(status)]?.[contentType])];
    });
    const headers = Object.fromEntries(headersOf(operation, serving, response).map((name) => [name, { $ref: `#/components/headers/${name}` }]));
    return [status, { description: response.description, headers, ...(content.length > 0 ? { content: Object.fromEntries(content) as Record<string, MediaType> } : {}) }];
  });
}

const headersOf = (operation: Operation, serving: Serving, response: ResponseContract): string[] => [
  'request-id',
  ...(response.headers ?? []),
  ...(operation.creates ? ['idempotency-replayed'] : []),
  ...(isLimited(serving) && !(serving.lean && serving.rate === 'status') ? RATE_HEADERS : []),
];

const RATE_HEADERS = ['ratelimit-policy', 'ratelimit'] as const;

/** The error answers: one for each status, with the codes it can carry. */
function problemsOf(codes: readonly ErrorCode[], schemas: SchemaBook): [string, PathOperation['responses'][string]][] {
  const byStatus = Map.groupBy(codes, (code) => ERROR_TABLE[code].status);
  return [...byStatus].map(([status, group]) => {
    const headers = ['request-id', ...(PROBLEM_HEADERS[status] ?? [])];
    const schema = { allOf: [schemas.of(problem), { properties: { code: { enum: group } } }] };
    return [
      String(status),
      {
        description: group.map((code) => `\`${code}\`: ${ERROR_TABLE[code].title}.`).join('\n\n'),
        headers: Object.fromEntries(headers.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
        content: { [PROBLEM_TYPE]: { schema, examples: Object.fromEntries(group.map((code) => [code, { $ref: `#/components/examples/${code}` }])) } },
      },
    ];
  });
}

/** Headers that come with a problem of this status. */
const PROBLEM_HEADERS: Readonly<Record<number, readonly string[]>> = { 401: ['www-authenticate'], 429: ['retry-after', ...RATE_HEADERS], 503: ['retry-after'] };

/** An example of each problem, as this installation would say it. */
function problemExamples(apiUrl: string, codes: ReadonlySet<ErrorCode>): Record<string, unknown> {
  return Object.fromEntries(
    [...codes].toSorted().map((code) => {
      const { status, title, next } = ERROR_TABLE[code];
      return [code, { summary: title, value: { type: `${apiUrl}/errors#${code}`, title, status, code, requestId: '01M7YV5DCSYQ16GT6663HNB8W2', next } }];
    }),
  );
}

const TEXT: JsonSchema = { type: 'string' };
const BINARY: JsonSchema = { type: 'string', format: 'binary' };
const isText = (contentType: string): boolean => contentType.startsWith('text/') || contentType === 'application/pem-certificate-chain';

const mediaTypeOf = (schema: JsonSchema, value: unknown): MediaType => ({ schema, ...(value === undefined ? {} : { examples: { example: { value } } }) });

const capital = (id: string): string => id.charAt(0).toUpperCase() + id.slice(1);

const sorted = <T>(record: Record<string, T>): Record<string, T> => Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
