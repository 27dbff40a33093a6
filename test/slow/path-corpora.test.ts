/** `signet verify --batch` over public corpora of certification paths. What it answers otherwise than a corpus wants is listed here, and argued in docs/conformance.md. */
import { describe, expect, test } from '@jest/globals';
import { betterTlsCases, hasCorpus, limboCases, pkitsCases, type CorpusCase } from '../support/corpora.ts';
import { run } from '../support/interop.ts';

const TIMEOUT_MS = 240_000;

interface Disagreements {
  /** Refused here, valid there. */
  refused: string[];
  /** Accepted here, not valid there: the ones to be afraid of. */
  accepted: string[];
}

async function disagreements(cases: readonly CorpusCase[]): Promise<Disagreements> {
  const input = cases.map(({ name, question }) => `${JSON.stringify({ id: name, ...question })}\n`).join('');
  const { stdout, stderr } = await run(process.execPath, ['dist/signet.js', 'verify', '--batch'], { cwd: process.cwd(), input, timeoutMs: TIMEOUT_MS });
  expect(stderr).toBe('');
  const answers = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as { id: string; valid: boolean; reasons: unknown[] });
  expect(answers.map(({ id }) => id)).toEqual(cases.map(({ name }) => name));
  for (const { valid, reasons } of answers) expect(reasons.length > 0).toBe(!valid);
  const differing = cases.filter(({ valid }, i) => answers[i]?.valid !== valid);
  const found = { refused: differing.filter(({ valid }) => valid).map(({ name }) => name), accepted: differing.filter(({ valid }) => !valid).map(({ name }) => name) };
  process.stdout.write(`${cases.length - differing.length} of ${cases.length} answers as the corpus has them; ${found.refused.length} refused, ${found.accepted.length} accepted otherwise\n`);
  return found;
}

function corpus(title: string, file: Parameters<typeof hasCorpus>[0], work: () => Promise<void>): void {
  if (hasCorpus(file)) {
    test(title, work, TIMEOUT_MS);
    return;
  }
  console.warn(`${title}: THE CORPUS IS NOT ON THIS MACHINE: it proves nothing here. Put ${file} into the folder that PATH_CORPORA names (docs/conformance.md).`);
  test.skip(`${title} [SKIPPED: no ${file}]`, work);
}

describe('public corpora', () => {
  corpus('NIST PKITS, whole', 'PKITS_data', async () => {
    expect(await disagreements(pkitsCases())).toEqual({
      accepted: [],
      refused: [
        'ValidDSAParameterInheritanceTest5',
        'ValidIDPwithindirectCRLTest22', 'ValidIDPwithindirectCRLTest24', 'ValidIDPwithindirectCRLTest25',
        'ValidcRLIssuerTest28', 'ValidcRLIssuerTest29', 'ValidcRLIssuerTest30', 'ValidcRLIssuerTest33',
        'ValiddeltaCRLTest5',
      ],
    });
  });

  corpus('x509-limbo', 'limbo.json', async () => {
    const { accepted, refused } = await disagreements(limboCases().filter(({ name }) => !name.startsWith('bettertls::')));
    // Rules of the CA/Browser Forum bind public CAs; a private one makes its own.
    expect(accepted.filter((name) => !name.startsWith('webpki::')).toSorted()).toEqual([
      'rfc5280::aki::cross-signed-root-missing-aki', 'rfc5280::nc::permitted-dns-match-noncritical', 'rfc5280::pc::ica-noncritical-pc',
    ]);
    expect(accepted.filter((name) => name.startsWith('webpki::') && !/^webpki::(?:aki::root-|cn::|eku::|san::public-suffix-|san::san-critical-)/.test(name))).toEqual([]);
    expect(refused.toSorted()).toEqual(['pathlen::validation-ignores-pathlen-in-leaf', 'rfc5280::ca-as-leaf']);
  });

  corpus('BetterTLS', 'bettertls.json', async () => {
    expect(await disagreements(betterTlsCases())).toEqual({ accepted: [], refused: [] });
  });
});
