/** `signet verify`: a path in plain words, one question as JSON, or a batch of them. Needs no server and no configuration. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../core/clock.ts';
import { createStore, readCertificate, validatePath, type PathReason, type PathRequest, type PathResult } from '../../verify/path/index.ts';
import { foreignNameText } from '../../x509/foreign/name.ts';
import { text, texts, UsageError, variable, wholeNumber, type CliIo, type CommandInput, type Options } from '../command.ts';
import { EXIT } from '../exit.ts';
import { answerBatch, readAll } from './batch.ts';
import { DocumentError, documentsInFile, type DocumentKind } from './documents.ts';
import { answerOf, answerQuestion, hexOctets, policiesOf, purposeOf, timeOf } from './request.ts';

const string = { type: 'string' } as const;
const many = { type: 'string', multiple: true } as const;
const flag = { type: 'boolean' } as const;

export const VERIFY_OPTIONS: Options = {
  root: many, intermediates: many, crl: many, ocsp: many, nonce: string, revocation: string, time: string, purpose: string, host: string, 'spiffe-id': string, 'trust-domain': string,
  policy: many, 'require-explicit-policy': flag, 'inhibit-mapping': flag, 'inhibit-any-policy': flag, 'max-depth': string, 'allow-legacy-algorithms': flag, batch: flag,
};

export const VERIFY_HELP: Readonly<Record<keyof typeof VERIFY_OPTIONS, string>> = {
  root: 'File with trust anchors, PEM or DER; without it, that of SIGNET_TRUST_BUNDLE. May be repeated.',
  intermediates: 'File with certificates the path may lead over, besides those that follow in the chain file. May be repeated.',
  crl: 'File with a revocation list, PEM or DER. May be repeated.',
  ocsp: 'File with an OCSP response, DER. May be repeated.',
  nonce: 'The nonce that was sent with the OCSP request, in hexadecimal: the answers must have it.',
  revocation: 'Whose revocation must be known: none, leaf or path. Without it: path with lists, leaf with OCSP responses, else none.',
  time: 'The time to judge by, instead of now.',
  purpose: 'What the certificate is for: any (default), serverAuth, clientAuth, codeSigning, emailProtection, timeStamping, OCSPSigning or jwt.',
  host: 'DNS name or IP address that it must be for.',
  'spiffe-id': 'SPIFFE ID that it must be for; it must be an X.509-SVID then.',
  'trust-domain': 'Trust domain of which it must be an X.509-SVID.',
  policy: 'Certificate policy to accept, a dotted object identifier; without it any. May be repeated.',
  'require-explicit-policy': 'A certificate policy must be valid for the whole path.',
  'inhibit-mapping': 'Policies are not mapped.',
  'inhibit-any-policy': 'The policy anyPolicy stands for no other.',
  'max-depth': 'CAs between the certificate and the anchor, at most 16.',
  'allow-legacy-algorithms': 'Take SHA-1 and SHA-224 signatures, RSA keys from 1024 bits and DSA as well.',
  batch: 'Questions as JSON lines on standard input, answers as JSON lines on standard output, in their order.',
};

/** Exit code 0 where every certificate asked for is valid. @throws UsageError */
export async function runVerify(io: CliIo, json: boolean, input: CommandInput): Promise<number> {
  const [file] = input.positionals;
  if (input.values['batch'] === true) {
    if (file !== undefined) throw new UsageError('--batch takes its questions from standard input, and no file');
    return (await answerBatch(stdinOf(io), io.out)) ? EXIT.ok : EXIT.refused;
  }
  if (file === undefined) {
    if (!json) throw new UsageError('needs a file with the certificate, or --json or --batch and questions on standard input');
    const answer = answerQuestion(await readAll(stdinOf(io)), systemClock.now(), new Map());
    io.out.write(`${JSON.stringify(answer)}\n`);
    return answer.valid ? EXIT.ok : EXIT.refused;
  }
  const result = validateFile(io, file, input);
  io.out.write(json ? `${JSON.stringify(answerOf(result))}\n` : inWords(result));
  return result.valid ? EXIT.ok : EXIT.refused;
}

function stdinOf(io: CliIo): AsyncIterable<Uint8Array> {
  if (!io.in) throw new UsageError('there is no standard input');
  return io.in;
}

function validateFile(io: CliIo, file: string, input: CommandInput): PathResult {
  const [leaf, ...following] = read(file, '<chain file>', 'certificate');
  const certificate = readCertificate(leaf ?? Buffer.alloc(0));
  if ('code' in certificate) return { valid: false, path: [], reasons: [certificate] };
  const all = (option: string, kind: DocumentKind) => (texts(input, option) ?? []).flatMap((name) => read(name, `--${option}`, kind));
  return validatePath({
    ...settingsOf(input),
    leaf: certificate,
    anchors: createStore(anchorsOf(io, input)),
    intermediates: createStore([...following, ...all('intermediates', 'certificate')]),
    crls: all('crl', 'crl'),
    ocsp: all('ocsp', 'ocsp'),
  });
}

function anchorsOf(io: CliIo, input: CommandInput): Buffer[] {
  const files = texts(input, 'root');
  if (files) return files.flatMap((name) => read(name, '--root', 'certificate'));
  const bundle = variable(io.env, 'SIGNET_TRUST_BUNDLE');
  if (bundle === undefined) throw new UsageError('nothing to trust: give --root <file>, or set SIGNET_TRUST_BUNDLE to a file with the roots');
  return read(bundle, 'SIGNET_TRUST_BUNDLE', 'certificate');
}

/** @throws UsageError for what is no such document, and what the file system says */
function read(file: string, from: string, kind: DocumentKind): Buffer[] {
  return orUsage(() => documentsInFile(readBytes(file, from), kind), `${from} ${file}`);
}

function readBytes(file: string, from: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw Object.assign(error as Error, { message: `${from}: ${(error as Error).message}` });
  }
}

function orUsage<T>(work: () => T, what: string): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DocumentError) throw new UsageError(`${what}: ${error.message}`);
    throw error;
  }
}

const MODES = ['none', 'leaf', 'path'] as const;

function settingsOf(input: CommandInput): Omit<PathRequest, 'anchors' | 'intermediates' | 'leaf' | 'crls' | 'ocsp'> {
  const nonce = text(input, 'nonce');
  const mode = text(input, 'revocation');
  const revocation = MODES.find((one) => one === mode);
  if (mode !== undefined && !revocation) throw new UsageError(`--revocation must be ${MODES.join(', ')}`);
  return {
    ocspNonce: nonce === undefined ? undefined : orUsage(() => hexOctets(nonce), '--nonce'),
    revocation,
    time: orUsage(() => timeOf(text(input, 'time'), systemClock.now()), '--time'),
    purpose: orUsage(() => purposeOf(text(input, 'purpose')), '--purpose'),
    host: text(input, 'host'),
    spiffeId: text(input, 'spiffe-id'),
    trustDomain: text(input, 'trust-domain'),
    initialPolicies: orUsage(() => policiesOf(texts(input, 'policy')), '--policy'),
    requireExplicitPolicy: input.values['require-explicit-policy'] === true,
    inhibitMapping: input.values['inhibit-mapping'] === true,
    inhibitAnyPolicy: input.values['inhibit-any-policy'] === true,
    maxDepth: wholeNumber(input, 'max-depth'),
    allowLegacyAlgorithms: input.values['allow-legacy-algorithms'] === true,
  };
}

/** The verdict for people: what it is about, the way to the anchor, and each reason. */
function inWords({ valid, path, reasons }: PathResult): string {
  const steps = path.map((certificate, i) => `  ${i === 0 ? 'certificate' : i === path.length - 1 && valid ? 'anchor     ' : 'issued by  '}  ${foreignNameText(certificate.subject)}, valid until ${certificate.notAfter.toISOString()}\n`);
  const said = reasons.map(({ code, message }: PathReason) => `  ${code}: ${message}\n`);
  const lines = valid ? ['valid\n', ...steps] : ['NOT valid\n', ...said, ...(steps.length > 0 ? ['as far as the way was found:\n', ...steps] : [])];
  // A name from a certificate must not steer the terminal.
  return lines.join('').replaceAll(/[^\P{Cc}\n]/gu, ' ');
}
