import { z } from 'zod';

/** A JSON Schema (2020-12), with the keywords that are looked at here. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  enum?: unknown[];
  const?: string | number | boolean;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  [keyword: string]: unknown;
}

const COMPONENTS = '#/components/schemas/';

/** The schemas of a document: those with a name are kept once, and referred to. */
export interface SchemaBook {
  /** The JSON Schema (2020-12) of what is sent: a reference when it, or `name`, gives it a name. */
  of(schema: z.ZodType, name?: string): JsonSchema;
  /** All that were named, by name. */
  readonly named: Record<string, JsonSchema>;
}

/** @throws TypeError when one name is given to two schemas */
export function createSchemaBook(): SchemaBook {
  const named: Record<string, JsonSchema> = {};

  function keep(name: string, schema: JsonSchema): void {
    const earlier = named[name];
    if (earlier !== undefined && JSON.stringify(earlier) !== JSON.stringify(schema)) throw new TypeError(`two schemas are called ${name}`);
    named[name] = schema;
  }

  return {
    named,
    of(schema, name) {
      const { root, definitions } = convert(schema);
      for (const [key, definition] of Object.entries(definitions)) keep(key, definition);
      if (name === undefined || '$ref' in root) return root;
      keep(name, root);
      return { $ref: COMPONENTS + name };
    },
  };
}

/**
 * A schema as it is written on the wire (`io: input`), so before any transformation. Objects of answers stay open: members may be added, and clients
 * pass over what they do not know.
 */
function convert(schema: z.ZodType): { root: JsonSchema; definitions: Record<string, JsonSchema> } {
  // A schema with a name is only referred to where it is a part of another.
  const whole = z.toJSONSchema(z.object({ root: schema }), { io: 'input', unrepresentable: 'any', override: ({ jsonSchema }) => simplify(jsonSchema as JsonSchema) });
  const { properties, $defs = {} } = JSON.parse(JSON.stringify(whole).replaceAll('"#/$defs/', `"${COMPONENTS}`)) as { properties: { root: JsonSchema }; $defs?: Record<string, JsonSchema> };
  return { root: properties.root, definitions: $defs };
}

/** Leaves out what says the same twice: the pattern behind a format, and that behind a number of a query. */
function simplify(schema: JsonSchema): void {
  if (schema.format === 'date-time' || schema.type === 'integer') delete schema['pattern'];
}
