import type { OpenApiDocument } from './openapi.ts';
import type { JsonSchema } from './schemas.ts';

/** A member of an object, for a table. */
export interface Member {
  name: string;
  type: string;
  required: boolean;
  description: string;
}

/** Members of objects in objects are listed this deep: `items[].id`. */
const DEPTH = 3;

/** The members of a JSON Schema as rows, nested ones by their path. */
export function membersOf(document: OpenApiDocument, schema: JsonSchema, prefix = '', depth = DEPTH): Member[] {
  const { properties = {}, required = [] } = resolved(document, schema);
  if (depth === 0) return [];
  return Object.entries(properties).flatMap(([name, member]) => {
    const whole = resolved(document, member);
    const row = { name: prefix + name, type: typeOf(document, member), required: required.includes(name), description: member.description ?? whole.description ?? '' };
    const below = whole.type === 'array' ? membersOf(document, whole.items ?? {}, `${prefix}${name}[].`, depth - 1) : membersOf(document, whole, `${prefix}${name}.`, depth - 1);
    return [row, ...below];
  });
}

/** A schema in a few words: type, choices, bounds. */
export function typeOf(document: OpenApiDocument, schema: JsonSchema): string {
  const whole = resolved(document, schema);
  const byDefault = schema.default === undefined ? '' : `, by default ${JSON.stringify(schema.default)}`;
  if (whole.enum) return whole.enum.join(' | ') + byDefault;
  if (whole.const !== undefined) return String(whole.const);
  const choices = whole.anyOf;
  if (choices) return [...new Set(choices.map((choice) => typeOf(document, choice)))].join(' or ');
  if (whole.type === 'array') return `list of ${typeOf(document, whole.items ?? {})}`;
  const type = [whole.type].flat().join(' or ') || 'any';
  const format = whole.format === undefined ? '' : ` (${whole.format})`;
  const { minimum, maximum, maxLength } = whole;
  const isBounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  const bounds = isBounded ? `, ${minimum ?? 0} to ${maximum}` : maxLength === undefined ? '' : `, at most ${maxLength} characters`;
  return type + format + bounds + byDefault;
}

function resolved(document: OpenApiDocument, schema: JsonSchema | undefined): JsonSchema {
  const reference = schema?.$ref;
  if (reference === undefined) return schema ?? {};
  return resolved(document, document.components['schemas']?.[reference.slice(reference.lastIndexOf('/') + 1)] as JsonSchema);
}
