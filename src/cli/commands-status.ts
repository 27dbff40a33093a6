import { createHash } from 'node:crypto';
import * as authorities from '../api/authorities.ts';
import * as documents from '../api/public.ts';
import * as statuses from '../api/status.ts';
import { ApiError, type ApiAnswer } from '../client/api-client.ts';
import { ocspRequest, readOcspAnswer } from '../client/ocsp.ts';
import { systemClock } from '../core/clock.ts';
import { verifyChain } from '../verify/chain.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { parseCrl } from '../x509/crl.ts';
import { decodePemAll } from '../x509/pem.ts';
import { text, UsageError, type CliContext, type Command, type CommandInput, type Options } from './command.ts';
import { lister, one } from './from-operation.ts';
import { readGiven } from './given-file.ts';
import { readIdentity } from './identity.ts';
import { show, writeFileAtomic } from './output.ts';

const string = { type: 'string' } as const;
const OUT: Options = { out: string };
const OUT_HELP = { out: 'File to write to, instead of standard output.' };

/** Content of a document: to a file with a word about it, or as it is; with --json as a member. */
function give(cli: CliContext, input: CommandInput, content: string | Uint8Array, facts: Record<string, unknown>): void {
  const file = text(input, 'out');
  const isText = typeof content === 'string';
  if (file !== undefined) {
    writeFileAtomic(file, content, 0o644);
    show(cli, JSON.stringify({ file, ...facts }));
  } else if (cli.json) show(cli, JSON.stringify({ ...facts, ...(isText ? { content } : { base64: Buffer.from(content).toString('base64') }) }));
  else if (!isText && cli.io.out.isTTY === true) throw new UsageError('what comes is binary: give --out <file>, or lead it into a file or another program');
  else cli.io.out.write(content);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const status: Command = {
  name: 'status',
  usage: '<serial>... [--dir <folder>]',
  summary: 'Status of certificates, as relying parties see it',
  example: 'signet status 0100512a1890dc83427d218f49dcd407391393b1',
  positionals: ['serial...'],
  terms: { serials: '<serial>' },
  options: { dir: string },
  help: { dir: 'Ask with the certificate of this identity folder, over mutual TLS, instead of with the API token.' },
  async run(cli, input) {
    const folder = text(input, 'dir');
    const client = await (folder === undefined ? cli.connect() : cli.connect({ identity: readIdentity(folder) }));
    const [serial = '', ...more] = input.positionals;
    if (more.length === 0) show(cli, (await client.call(statuses.getStatus, { params: { serial } })).text);
    else show(cli, (await client.call(statuses.listStatuses, { body: { serials: input.positionals } })).text, ['serial', 'status', 'reason', 'revokedAt', 'agentId', 'notAfter']);
  },
};

const ocsp: Command = {
  name: 'ocsp',
  usage: '<certificate file> [--issuer <file>] [--get]',
  summary: 'Ask the OCSP responder about a certificate, and check its answer up to the trusted root',
  example: 'signet ocsp ./identity/chain.pem',
  positionals: ['certificate file'],
  options: { issuer: string, get: { type: 'boolean' } },
  help: { issuer: 'File with the issuer, PEM, where it does not follow in the first file.', get: 'Ask by GET, which caches can answer, instead of by POST.' },
  async run(cli, input) {
    const [leaf, follows] = readCertificates(input.positionals[0] ?? '', '<certificate file>');
    const issuerFile = text(input, 'issuer');
    const issuer = issuerFile === undefined ? follows : readCertificates(issuerFile, '--issuer')[0];
    if (!leaf || !issuer) throw new UsageError('the file must hold the certificate and then its issuer, PEM; or give --issuer <file>');
    const now = systemClock.now();
    const roots = decodePemAll(await cli.trustBundle(), 'CERTIFICATE').map((der) => parseCertificate(der));
    const chain = verifyChain(issuer, [], roots, now);
    if ('fault' in chain) throw new UsageError(`the issuer does not lead to a trusted root: ${chain.fault}`);
    const request = ocspRequest(issuer, leaf.serial);
    const client = cli.open('status');
    const answer = await (input.values['get'] === true
      ? client.call(documents.getOcsp, { params: { request: request.toString('base64') }, accept: '*/*' })
      : client.call(documents.postOcsp, { body: request, accept: '*/*' }));
    const { certStatus, thisUpdate, nextUpdate } = readOcspAnswer(answer.bytes, issuer, leaf.serial, systemClock.now());
    const revoked = certStatus.status === 'revoked' ? { revokedAt: certStatus.at, reason: REASON_NAMES[certStatus.reason ?? 0] } : {};
    show(cli, JSON.stringify({ serial: leaf.serial.toString('hex'), status: certStatus.status, ...revoked, thisUpdate, nextUpdate }));
  },
};

/** By CRLReason (RFC 5280 §5.3.1). */
const REASON_NAMES = [
  'unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged', 'superseded', 'cessationOfOperation', 'certificateHold', undefined, 'removeFromCRL', 'privilegeWithdrawn', 'aACompromise',
];

const readCertificates = (file: string, from: string) => decodePemAll(readGiven(file, from), 'CERTIFICATE').map((der) => parseCertificate(der));

const crlFetch: Command = {
  name: 'crl fetch',
  usage: '<issuerId> [--shard <n>] [--out <file>]',
  summary: 'Fetch the CRL of an issuer, DER, as relying parties do',
  example: 'signet crl fetch 01M7YV54JWRMBXNJXBBY5F0QNK --out ./issuer.crl',
  positionals: ['issuerId'],
  terms: { shard: '--shard' },
  options: { shard: string, ...OUT },
  help: { shard: 'One shard instead of the complete list.', ...OUT_HELP },
  async run(cli, input) {
    const shard = text(input, 'shard');
    const params = { issuerId: input.positionals[0] ?? '' };
    const { bytes } = await (shard === undefined ? cli.open('status').call(documents.getCompleteCrl, { params, accept: '*/*' }) : cli.open('status').call(documents.getCrlShard, { params: { ...params, shard }, accept: '*/*' }));
    const { thisUpdate, nextUpdate } = parseCrl(bytes);
    give(cli, input, bytes, { thisUpdate, nextUpdate, octets: bytes.length, sha256: sha256(bytes) });
  },
};

const crlAddresses: Command = {
  name: 'crl addresses',
  usage: '[--out <file>]',
  summary: 'Addresses of the complete CRLs of every root and issuer, one a line',
  example: 'signet crl addresses',
  options: OUT,
  help: OUT_HELP,
  run: async (cli, input) => give(cli, input, (await cli.open('status').call(documents.listCrls, { accept: '*/*' })).text, {}),
};

const issuerFetch: Command = {
  name: 'issuer fetch',
  usage: '<issuerId> [--out <file>]',
  summary: 'Fetch the certificate of an issuer, DER, as relying parties do',
  example: 'signet issuer fetch 01M7YV54JWRMBXNJXBBY5F0QNK --out ./issuer.cer',
  positionals: ['issuerId'],
  options: OUT,
  help: OUT_HELP,
  async run(cli, input) {
    const { bytes } = await cli.open('status').call(documents.getIssuerCertificate, { params: { issuerId: input.positionals[0] ?? '' }, accept: '*/*' });
    give(cli, input, bytes, { notAfter: parseCertificate(bytes).notAfter, octets: bytes.length, sha256: sha256(bytes) });
  },
};

/** How each form of the bundle is had. PEM is that of the API door, over TLS; the status door gives it to whoever has nothing to trust yet. */
const BUNDLES: Readonly<Record<string, (cli: CliContext) => Promise<string>>> = {
  pem: async (cli) => (JSON.parse((await (await cli.connect('anyone')).call(authorities.getTrustBundle)).text) as { pem: string }).pem,
  json: async (cli) => (await (await cli.connect('anyone')).call(authorities.getTrustBundle)).text,
  spiffe: async (cli) => (await cli.open('status').call(documents.getSpiffeBundle)).text,
  'status-pem': async (cli) => (await cli.open('status').call(documents.getTrustBundlePem, { accept: '*/*' })).text,
};

const trustBundle: Command = {
  name: 'trust-bundle',
  usage: '[--format pem|json|spiffe|status-pem] [--out <file>]',
  summary: 'The roots to trust, PEM',
  example: 'signet trust-bundle --out ./trust-bundle.pem',
  options: { format: string, ...OUT },
  help: { format: 'One of pem (default), json, spiffe (a SPIFFE bundle), status-pem (as the status door gives it, not checked against anything).', ...OUT_HELP },
  async run(cli, input) {
    const format = text(input, 'format') ?? 'pem';
    const fetch = BUNDLES[format];
    if (!fetch) throw new UsageError(`--format must be ${Object.keys(BUNDLES).join(', ')}`);
    const content = await fetch(cli);
    give(cli, input, content.endsWith('\n') ? content : `${content}\n`, { format });
  },
};

const health: Command = {
  name: 'health',
  usage: '',
  summary: 'Ask whether the process runs',
  example: 'signet health',
  async run(cli) {
    show(cli, (await cli.open('operations').call(documents.getHealth)).text);
  },
};

const ready: Command = {
  name: 'ready',
  usage: '',
  summary: 'Ask whether the replica can serve; exit code 1 when it cannot',
  example: 'signet ready',
  async run(cli) {
    const answer = await cli.open('operations').call(documents.getReadiness).catch(notReady);
    show(cli, answer.text);
    return answer.status === 200 ? 0 : 1;
  },
};

function notReady(error: unknown): Pick<ApiAnswer, 'status' | 'text'> {
  if (error instanceof ApiError && error.status === 503 && !error.problem) return error;
  throw error;
}

const metrics: Command = {
  name: 'metrics',
  usage: '[--out <file>]',
  summary: 'The Prometheus metrics of this replica',
  example: 'signet metrics',
  options: OUT,
  help: OUT_HELP,
  async run(cli, input) {
    give(cli, input, (await cli.open('operations').call(documents.getMetrics, { accept: '*/*' })).text, {});
  },
};

const errors: Command = {
  name: 'errors',
  usage: '[--out <file>]',
  summary: 'What each error code means and what to do next, Markdown',
  example: 'signet errors',
  options: OUT,
  help: OUT_HELP,
  async run(cli, input) {
    give(cli, input, (await (await cli.connect('anyone')).call(documents.getErrorsDocument, { accept: 'text/markdown' })).text, {});
  },
};

const openapi: Command = {
  name: 'openapi',
  usage: '[--out <file>]',
  summary: 'The OpenAPI 3.1 document of this interface',
  example: 'signet openapi --out ./signet-openapi.json',
  options: OUT,
  help: OUT_HELP,
  async run(cli, input) {
    const { text: document } = await (await cli.connect('anyone')).call(documents.getOpenApi);
    if (text(input, 'out') === undefined) cli.io.out.write(`${document}\n`);
    else give(cli, input, document, { sha256: sha256(Buffer.from(document)) });
  },
};

const STATUS_COLUMNS = ['serial', 'status', 'reason', 'revokedAt', 'instanceId', 'notAfter'];

export const STATUS_COMMANDS: Command[] = [
  status,
  lister('status agent', statuses.listAgentStatuses, 'Status of the certificates of an agent', STATUS_COLUMNS),
  lister('status instance', statuses.listInstanceStatuses, 'Status of the certificates of an instance', STATUS_COLUMNS),
  one('status fingerprint', statuses.getStatusByFingerprint, 'Status of the certificate with this SHA-256 of its DER'),
  one('status identity', statuses.getIdentity, 'Who holds the certificate: agent, instance, owner and profile'),
  ocsp, crlFetch, crlAddresses, issuerFetch, trustBundle,
];
export const SERVICE_COMMANDS: Command[] = [health, ready, metrics, errors, openapi];
