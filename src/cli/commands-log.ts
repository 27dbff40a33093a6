import * as proofs from '../api/audit-proofs.ts';
import type { Operation } from '../api/operation.ts';
import { verifyEvidence, type EvidenceReport } from '../verify/log/evidence.ts';
import { LogError } from '../verify/log/log-error.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { decodePemAll } from '../x509/pem.ts';
import { monitor } from './audit-monitor.ts';
import { required, text, UsageError, wholeNumber, type CliContext, type Command, type CommandInput } from './command.ts';
import { EXIT } from './exit.ts';
import { readGiven } from './given-file.ts';
import { trustOf } from './log-keys.ts';
import { show, writeFileAtomic } from './output.ts';

const string = { type: 'string' } as const;

/** Shows a document, or writes it to the file of --out. */
async function fetchDocument(cli: CliContext, input: CommandInput, operation: Operation, params: Record<string, string>): Promise<void> {
  const { text: document } = await (await cli.connect()).call(operation, { params });
  const file = text(input, 'out');
  if (file === undefined) {
    cli.io.out.write(`${document}\n`);
    return;
  }
  writeFileAtomic(file, `${document}\n`, 0o600);
  cli.io.out.write(cli.json ? `${JSON.stringify({ file })}\n` : `${file}\n`);
}

const OUT = { out: string } as const;
const OUT_HELP = { out: 'File to write it to, with mode 0600; without it the document is printed.' };

const proof: Command = {
  name: 'audit proof', usage: '<event> [--size <n>]', summary: 'Prove that an event is in the log', example: 'signet audit proof 4711', positionals: ['event'],
  options: { size: string }, help: { size: 'Size of the tree to prove it in; without it that of the newest checkpoint.' },
  async run(cli, input) {
    const size = wholeNumber(input, 'size');
    const answer = await (await cli.connect()).call(proofs.getInclusionProof, { params: { event: input.positionals[0] ?? '' }, query: { size: size === undefined ? undefined : String(size) } });
    show(cli, answer.text);
  },
};

const consistency: Command = {
  name: 'audit consistency', usage: '--first <n> [--second <n>]', summary: 'Prove that the log only grew between two sizes', example: 'signet audit consistency --first 4711',
  options: { first: string, second: string }, help: { first: 'The smaller size.', second: 'The larger size; without it that of the newest checkpoint.' },
  async run(cli, input) {
    required(input, 'first');
    const [first, second] = [wholeNumber(input, 'first'), wholeNumber(input, 'second')];
    const answer = await (await cli.connect()).call(proofs.getConsistencyProof, { query: { first: String(first), second: second === undefined ? undefined : String(second) } });
    show(cli, answer.text);
  },
};

const evidence: Command = {
  name: 'audit evidence', usage: '<event> [--out <file>]', summary: 'Take evidence of an event that can be checked without this service', example: 'signet audit evidence 4711 --out ./event-4711.json', positionals: ['event'],
  options: OUT, help: OUT_HELP,
  run: (cli, input) => fetchDocument(cli, input, proofs.getAuditEvidence, { event: input.positionals[0] ?? '' }),
};

const verify: Command = {
  name: 'audit verify-evidence',
  usage: '<file> --root <file> --log-key <key> [--witness <key>]... [--quorum <n>]',
  summary: 'Check evidence of an event without any server: says what it proves, and what it does not. Exit code 1 when something in it does not hold',
  example: 'signet audit verify-evidence ./event-4711.json --root ./root.pem --log-key ./log.vkey',
  positionals: ['file'],
  options: { root: string, 'log-key': string, witness: { type: 'string', multiple: true }, quorum: string },
  help: {
    root: 'File with the root certificates, PEM.',
    'log-key': 'Verifier key of the log (C2SP signed-note), or a file with it: from the operator, not from the evidence.',
    witness: 'Verifier key of a witness, or a file with it; may be repeated.',
    quorum: 'How many of these witnesses must have cosigned.',
  },
  run(cli, input) {
    const roots = certificates(readGiven(required(input, 'root'), '--root'));
    const trust = { ...trustOf(input), roots };
    const bundle = parse(readGiven(input.positionals[0] ?? '', 'evidence'));
    try {
      tell(cli, verifyEvidence(bundle, trust));
      return Promise.resolve(EXIT.ok);
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      if (cli.json) cli.io.out.write(`${JSON.stringify({ holds: false, fault: error.fault, detail: error.message })}\n`);
      else cli.io.out.write(`the evidence does NOT hold [${error.fault}]: ${clean(error.message)}\n`);
      return Promise.resolve(EXIT.refused);
    }
  },
};

function certificates(pem: string) {
  try {
    const found = decodePemAll(pem, 'CERTIFICATE').map((der) => parseCertificate(der));
    if (found.length > 0) return found;
  } catch (error) {
    throw new UsageError(`--root: ${(error as Error).message}`);
  }
  throw new UsageError('--root: there is no certificate in it');
}

/** What is no JSON is no evidence either, which is for `verifyEvidence` to say. */
function parse(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

/** Nothing of what was recorded can move the cursor or change colours of a terminal. */
const clean = (said: string): string => said.replaceAll(/\p{Cc}/gu, ' ');

function tell({ io, json }: CliContext, { event, index, leafHash, checkpoint, proven, unproven }: EvidenceReport): void {
  if (json) {
    const { origin, size, root, cosignatures } = checkpoint;
    io.out.write(`${JSON.stringify({ holds: true, event, index, leafHash: leafHash.toString('hex'), checkpoint: { origin, size, root: root.toString('hex'), cosignatures }, proven, unproven })}\n`);
    return;
  }
  io.out.write(`the evidence holds\n\nproven:\n${proven.map((line) => `  - ${clean(line)}\n`).join('')}\nnot proven:\n${unproven.map((line) => `  - ${clean(line)}\n`).join('')}`);
}

const issuance: Command = {
  name: 'certificate proof', usage: '<fingerprint> [--out <file>]', summary: 'Take the proof that a certificate was logged when it was issued, by the SHA-256 of its DER', example: 'signet certificate proof 4934971ade22a51ecee9e751f1113124ba96f811899ee718b4bb029b9e2bf6b7 --out ./issuance.json', positionals: ['fingerprint'],
  options: OUT, help: OUT_HELP,
  run: (cli, input) => fetchDocument(cli, input, proofs.getIssuanceProof, { fingerprint: input.positionals[0] ?? '' }),
};

/** What auditors and relying parties do with the log. */
export const LOG_COMMANDS: Command[] = [proof, consistency, evidence, verify, monitor, issuance];
