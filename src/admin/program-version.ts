import { readFileSync } from 'node:fs';

/** Version of Signet, as package.json beside src/ and dist/ has it. */
export function programVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}
