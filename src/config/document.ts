import { RULES } from './rules.ts';
import { CHAPTERS, configSchema, environmentName, type Config, type ConfigKey } from './schema.ts';
import type { KeyDoc, ListenAddress } from './values.ts';

const HEAD = `# Configuration

Every key can be given by an environment variable, or in a JSON file named by \`SIGNET_CONFIG_FILE\` under the name in the first column.
The environment wins. An empty variable counts as not set. A key the file should not have is a fault; all faults are printed at once and
the process ends with exit code 78. \`signet config check\` does only that. This page is written by \`documentConfig()\`
(src/config/document.ts) from the schema, and a test compares the two.
`;

const NAME_CONSTRAINTS = `## Name constraints

With \`nameConstraints\` the issuing certificate itself would bind its leaves to the trust domain, by a constraint on URIs. Off by
default, because programs disagree about such constraints. The trust domain is enforced by a lint at issue and by the relying party's SPIFFE check.

| constraint | what refuses or ignores it |
|---|---|
| on URIs | pyca/cryptography and rustls-webpki refuse every leaf; GnuTLS and strongSwan ignore it |
| any, critical | mbedTLS refuses the issuing certificate |
| on DNS names | Java and GnuTLS refuse leaves with a common name that is no such name |
`;

function defaultOf(key: ConfigKey, doc: KeyDoc): string {
  if (doc.defaultNote !== undefined) return doc.defaultNote;
  const parsed = configSchema.shape[key].safeParse(undefined);
  const value = parsed.success ? parsed.data : undefined;
  if (value === undefined) return 'unset';
  return `\`${formatValue(value)}\``;
}

/** `host:port`, an IPv6 host in brackets. */
export const formatAddress = ({ host, port }: ListenAddress): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** A value as it is given in the environment. */
export function formatValue(value: Config[ConfigKey]): string {
  if (Array.isArray(value)) return value.map((one) => (typeof one === 'string' ? one : `${one.url} ${one.vkey}`)).join(', ');
  return typeof value === 'object' && 'host' in value ? formatAddress(value) : String(value);
}

function row(key: ConfigKey): string {
  const doc = configSchema.shape[key].meta() as KeyDoc | undefined;
  if (doc === undefined) throw new Error(`no documentation for ${key}`);
  const unit = doc.range === undefined ? doc.unit : `${doc.unit}, ${doc.range[0]} to ${doc.range[1]}`;
  return `| \`${key}\` | \`${environmentName(key)}\` | ${defaultOf(key, doc)} | ${unit} | ${doc.doc} |`;
}

/** docs/config.md. */
export function documentConfig(): string {
  const chapters = Object.entries(CHAPTERS).map(([title, keys]) => {
    const rows = (Object.keys(keys) as ConfigKey[]).map(row).join('\n');
    return `## ${title}\n\n| key | variable | default | unit | meaning |\n|---|---|---|---|---|\n${rows}\n`;
  });
  const rules = RULES.map(({ keys: [first], says }) => `- \`${first}\` ${says}`).join('\n');
  return [HEAD, ...chapters, `## Rules between keys\n\n${rules}\n`, NAME_CONSTRAINTS].join('\n');
}
