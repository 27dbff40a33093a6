/** Other people's linters of certificates, lists and OCSP answers, and what they are allowed to find. */
import fs from 'node:fs';
import path from 'node:path';
import { run } from './interop.ts';
import type { Built } from './toolchains.ts';

export type ArtefactKind = 'certificate' | 'crl' | 'ocsp';

export interface Artefact {
  /** What it is: `leaf agent ecdsa-p256`, `root`, `shard list`. */
  name: string;
  kind: ArtefactKind;
  /** File, PEM; DER for an OCSP answer. */
  file: string;
}

export interface Finding {
  linter: 'pkilint' | 'zlint';
  /** Name the linter gives it. */
  code: string;
  artefact: string;
  said: string;
}

const SOURCES = 'RFC3279,RFC5280,RFC5480,RFC5891,RFC8813,Community';

/** Errors and worse of pkilint; `built.args` is its folder of programs. */
export async function pkilint(built: Built, folder: string, { name, kind, file }: Artefact): Promise<Finding[]> {
  const [program, ...type] = { certificate: ['lint_pkix_cert'], crl: ['lint_crl', '-t', 'CRL', '-p', 'PKIX'], ocsp: ['lint_ocsp_response'] }[kind] as [string, ...string[]];
  const args = [path.join(built.args[0] ?? '', program), 'lint', ...type, '-s', 'ERROR', '-f', 'JSON', file];
  const { stdout, stderr } = await run(built.command, args, { cwd: folder });
  if (!stdout.startsWith('{')) throw new Error(`${program} ${name}: ${stdout}${stderr}`);
  const { results } = JSON.parse(stdout) as { results: { node_path: string; finding_descriptions: { code: string; severity: string; message: string | null }[] }[] };
  return results.flatMap(({ node_path: at, finding_descriptions: findings }) => findings.map(({ code, message }) => ({ linter: 'pkilint' as const, code, artefact: name, said: `${at}: ${message ?? ''}` })));
}

/** Errors and worse of zlint, by the rules of the RFCs: without that filter it judges by those of browsers. It knows no OCSP answers. */
export async function zlint(built: Built, folder: string, { name, file }: Artefact): Promise<Finding[]> {
  const { stdout, stderr } = await run(built.command, ['-includeSources', SOURCES, file], { cwd: folder });
  if (!stdout.startsWith('{')) throw new Error(`zlint ${name}: ${stdout}${stderr}`);
  const results = JSON.parse(stdout) as Record<string, { result: string; details?: string }>;
  return Object.entries(results)
    .filter(([, { result }]) => result === 'error' || result === 'fatal')
    .map(([code, { details = '' }]) => ({ linter: 'zlint', code, artefact: name, said: details }));
}

interface Allowed {
  linter: string;
  code: string;
  artefacts: RegExp;
  line: string;
}

/** The reasoned exceptions, one a line: linter, code, artefacts (a regular expression on their names), reason. */
export function allowList(): Allowed[] {
  const file = path.resolve(import.meta.dirname, '../interop/lint/allowed.txt');
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [linter = '', code = '', artefacts = '', reason = ''] = line.split(' | ').map((part) => part.trim());
    if (reason.length < 10) throw new Error(`test/interop/lint/allowed.txt: no reason in: ${line}`);
    return { linter, code, artefacts: new RegExp(`^(?:${artefacts})$`), line };
  });
}

export const isAllowed = ({ linter, code, artefact }: Finding, { linter: by, code: wanted, artefacts }: Allowed): boolean => linter === by && code === wanted && artefacts.test(artefact);
