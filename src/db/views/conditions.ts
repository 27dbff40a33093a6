import { Prisma } from '../client.ts';

/** Conditions of which all that are given must hold. */
export function allOf(conditions: readonly (Prisma.Sql | undefined)[]): Prisma.Sql {
  const given = conditions.filter((condition) => condition !== undefined);
  return given.length === 0 ? Prisma.sql`true` : Prisma.join(given, ' AND ');
}

/** A condition on a value that may not be asked for. */
export function when<T>(value: T | undefined, condition: (value: T) => Prisma.Sql): Prisma.Sql | undefined {
  return value === undefined ? undefined : condition(value);
}
