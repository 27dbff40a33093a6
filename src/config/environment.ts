/** Environment variables by name; an empty value counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export const environment = (): Environment => process.env;
