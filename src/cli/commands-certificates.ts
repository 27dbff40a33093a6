import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import * as authorities from '../api/authorities.ts';
import * as certificates from '../api/certificates.ts';
import * as records from '../api/records.ts';
import * as statuses from '../api/status.ts';
import type { Operation } from '../api/operation.ts';
import { ApiError, type ApiAnswer } from '../client/api-client.ts';
import { keyTypeOf, makeKeyAndCsr, type NewKeyType } from '../client/key-and-csr.ts';
import { present, required, text, UsageError, wholeNumber, type CliContext, type Command, type CommandInput, type Options } from './command.ts';
import { show, writeFileAtomic } from './output.ts';

const string = { type: 'string' } as const;
const paging: Options = { cursor: string, limit: string };
const SERIAL_EXAMPLE = '0100511e2b7d0c8f1a6e4d3c2b1a09f8e7d6c5b4';

function onSerial(name: string, operation: Operation, summary: string, withReason = false): Command {
  return {
    name,
    usage: `<serial>${withReason ? ' [--reason <reason>]' : ''}`,
    summary,
    example: `signet ${name} ${SERIAL_EXAMPLE}${withReason ? ' --reason keyCompromise' : ''}`,
    positionals: ['serial'],
    ...(withReason ? { options: { reason: string }, help: { reason: 'RFC 5280 reason: unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn' } } : {}),
    async run(cli, input) {
      const client = await cli.connect();
      const answer = await client.call(operation, { params: { serial: input.positionals[0] ?? '' }, body: present({ reason: withReason ? text(input, 'reason') : undefined }) });
      show(cli, answer.text);
    },
  };
}

/** A command that shows a list; `filters` are members of the operation's query. */
export function lister(name: string, operation: Operation, summary: string, filters: readonly string[], columns: readonly string[]): Command {
  return {
    name,
    usage: filters.length > 0 ? '[filters]' : '',
    summary,
    example: `signet ${name}`,
    options: { ...(operation.method === 'get' && filters.includes('cursor') ? paging : {}), ...Object.fromEntries(filters.map((filter) => [kebab(filter), string])) },
    async run(cli, input) {
      const client = await cli.connect();
      const query = Object.fromEntries(filters.map((filter) => [filter, text(input, kebab(filter))]));
      show(cli, (await client.call(operation, { query })).text, columns);
    },
  };
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Files of an identity directory. `next`: the key of a request that has had no answer yet. */
const FILES = { key: 'key.pem', next: 'next-key.pem', certificate: 'certificate.pem', chain: 'chain.pem', bundle: 'trust-bundle.pem', details: 'identity.json' } as const;
const fileIn = (folder: string, name: keyof typeof FILES): string => path.join(folder, FILES[name]);

/**
 * Asks for a certificate and keeps it. The key rests beside the one in use before the request is sent, and is used again when the request is: so a lost
 * answer can be had again (same join token and key, or renewal rule (a)), and what fails leaves the identity as it was.
 */
async function obtain(cli: CliContext, folder: string, type: NewKeyType, ask: (csr: string) => Promise<ApiAnswer>): Promise<void> {
  const next = fileIn(folder, 'next');
  const pending = existsSync(next) ? readFileSync(next, 'utf8') : undefined;
  const kept = pending !== undefined && keyTypeOf(pending) === type ? pending : undefined;
  const { key, csr } = await makeKeyAndCsr(type, kept);
  if (kept === undefined) writeFileAtomic(next, key, 0o600);
  let answer: string;
  try {
    answer = (await ask(csr)).text;
  } catch (error) {
    // Refused for good: nothing was issued for this key.
    if (error instanceof ApiError && error.status >= 400 && error.status < 500) rmSync(next, { force: true });
    throw error;
  }
  const issued = JSON.parse(answer) as { certificate: string; chain: string };
  writeFileAtomic(fileIn(folder, 'bundle'), await cli.trustBundle(), 0o644);
  writeFileAtomic(fileIn(folder, 'details'), `${answer}\n`, 0o644);
  writeFileAtomic(fileIn(folder, 'certificate'), issued.certificate, 0o644);
  writeFileAtomic(fileIn(folder, 'chain'), issued.certificate + issued.chain, 0o644);
  renameSync(next, fileIn(folder, 'key'));
  show(cli, answer);
}

/** Certificate chain and key of a folder. Where the last change of both was cut short, the key is put in its place first. */
function readIdentity(folder: string): { certificate: string; key: string } {
  const certificate = readFileSync(fileIn(folder, 'chain'), 'utf8');
  const next = fileIn(folder, 'next');
  if (existsSync(next) && new X509Certificate(certificate).checkPrivateKey(createPrivateKey(readFileSync(next)))) renameSync(next, fileIn(folder, 'key'));
  return { certificate, key: readFileSync(fileIn(folder, 'key'), 'utf8') };
}

function keyType(input: CommandInput): NewKeyType {
  const type = text(input, 'key-type') ?? 'ecdsa-p256';
  if (type !== 'ecdsa-p256' && type !== 'ecdsa-p384' && type !== 'ed25519') throw new UsageError('--key-type must be ecdsa-p256, ecdsa-p384 or ed25519');
  return type;
}

const enroll: Command = {
  name: 'enroll',
  usage: '--token-file <file> --dir <folder> [--key-type <type>] [--ttl <seconds>]',
  summary: 'Make a key, enroll with a join token, keep key and certificate in a folder',
  example: 'signet enroll --token-file ./join-token --dir ./identity',
  options: { 'token-file': string, dir: string, 'key-type': string, ttl: string },
  help: { 'token-file': 'file with the join token', dir: 'folder for key.pem (0600), certificate.pem, chain.pem, trust-bundle.pem', 'key-type': 'ecdsa-p256 (default), ecdsa-p384 or ed25519', ttl: 'life asked for, seconds' },
  async run(cli, input) {
    const folder = required(input, 'dir');
    const token = readFileSync(required(input, 'token-file'), 'utf8').trim();
    const client = await cli.connect({ token });
    await obtain(cli, folder, keyType(input), (csr) => client.call(certificates.issueCertificate, { body: present({ csr, ttlSeconds: wholeNumber(input, 'ttl') }) }));
  },
};

const renew: Command = {
  name: 'renew',
  usage: '--dir <folder> [--key-type <type>] [--ttl <seconds>]',
  summary: 'Renew the certificate in a folder over mutual TLS, with a fresh key',
  example: 'signet renew --dir ./identity',
  options: { dir: string, 'key-type': string, ttl: string },
  help: { dir: 'folder that `signet enroll` made', 'key-type': 'ecdsa-p256 (default), ecdsa-p384 or ed25519', ttl: 'life asked for, seconds' },
  async run(cli, input) {
    const folder = required(input, 'dir');
    const client = await cli.connect({ identity: readIdentity(folder) });
    await obtain(cli, folder, keyType(input), (csr) => client.call(certificates.renewCertificate, { body: present({ csr, ttlSeconds: wholeNumber(input, 'ttl') }) }));
  },
};

const CERTIFICATE_COLUMNS = ['serial', 'status', 'agentId', 'instanceId', 'generation', 'notAfter'];

export const CERTIFICATE_COMMANDS: Command[] = [
  enroll,
  renew,
  lister('certificate list', certificates.listCertificates, 'List certificates', ['cursor', 'limit', 'agentId', 'instanceId', 'issuerId', 'profile', 'status', 'expiresBefore', 'issuedAfter'], CERTIFICATE_COLUMNS),
  onSerial('certificate show', certificates.getCertificate, 'Show a certificate'),
  onSerial('certificate revoke', certificates.revokeCertificate, 'Revoke a certificate for good', true),
  onSerial('certificate hold', certificates.holdCertificate, 'Put a certificate on hold'),
  onSerial('certificate release', certificates.releaseCertificate, 'Take the operator’s hold away'),
  onSerial('status', statuses.getStatus, 'Status of a certificate, as relying parties see it'),
  {
    name: 'trust-bundle',
    usage: '[--out <file>]',
    summary: 'The roots to trust, PEM',
    example: 'signet trust-bundle --out ./trust-bundle.pem',
    options: { out: string },
    async run(cli, input) {
      const client = await cli.connect();
      const { pem } = JSON.parse((await client.call(authorities.getTrustBundle)).text) as { pem: string };
      const file = text(input, 'out');
      if (file === undefined) cli.io.out.write(pem);
      else writeFileAtomic(file, pem, 0o644);
    },
  },
  lister('authority list', authorities.listAuthorities, 'List roots, issuers, responders, TLS certificates', [], ['id', 'kind', 'state', 'subject', 'notAfter']),
  {
    name: 'authority rotate',
    usage: '[--step prepare|activate|auto]',
    summary: 'Prepare the next issuer, then make it active; the old one keeps CRL and OCSP until its last certificate is dead',
    example: 'signet authority rotate --step prepare',
    options: { step: string },
    help: { step: 'prepare: make and publish the next issuer; activate: switch to it; auto (default): whichever comes next' },
    async run(cli, input) {
      const client = await cli.connect();
      show(cli, (await client.call(authorities.rotateAuthority, { body: present({ step: text(input, 'step') }) })).text, ['id', 'kind', 'state', 'subject', 'notAfter']);
    },
  },
  {
    name: 'authority rollover-root',
    usage: '',
    summary: 'Make a new root, cross-signed by the old one, and a new issuer under it',
    example: 'signet authority rollover-root',
    async run(cli) {
      const client = await cli.connect();
      show(cli, (await client.call(authorities.rolloverRoot)).text, ['id', 'kind', 'state', 'subject', 'notAfter']);
    },
  },
  lister('audit list', records.listAudit, 'List audit events in order', ['cursor', 'limit', 'kind', 'agentId', 'serial', 'actorId'], ['n', 'at', 'kind', 'outcome', 'actor', 'agentId', 'serial']),
  lister('job list', records.listJobs, 'Jobs with their last and next runs', [], ['name', 'schedule', 'lastRun', 'nextRunAt']),
  lister('finding list', records.listFindings, 'Things a person should look at', ['cursor', 'limit'], ['id', 'kind', 'agentId', 'instanceId', 'createdAt']),
];
