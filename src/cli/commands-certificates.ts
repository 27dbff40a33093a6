import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import * as authorities from '../api/authorities.ts';
import * as certificates from '../api/certificates.ts';
import { ApiError, type ApiAnswer, type ApiClient } from '../client/api-client.ts';
import type { NewKeyType } from '../client/key-and-csr.ts';
import { verifyChain } from '../verify/chain.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { decodePemAll } from '../x509/pem.ts';
import { present, required, text, texts, UsageError, wholeNumber, type CliContext, type Command, type CommandInput } from './command.ts';
import { TRY_AGAIN } from './exit.ts';
import { asText, bodyOf } from './fields.ts';
import { lister, one } from './from-operation.ts';
import { readGiven } from './given-file.ts';
import { fileIn, readIdentity, heldIn } from './identity.ts';
import { show, writeFileAtomic } from './output.ts';

const string = { type: 'string' } as const;
const KEY_TYPES = 'Type of the new key: ecdsa-p256 (default), ecdsa-p384 or ed25519.';

/**
 * Asks for a certificate and keeps it. The key rests beside the one in use before the request is sent, and is used again when the request is: so a lost
 * answer can be had again (same join token and key, or renewal rule (a)), and what fails leaves the identity as it was. The trust bundle beside it is the one that
 * the service gives for peers, over TLS that the caller trusts; what the caller trusts for that may be another thing, such as the authority of a proxy.
 * @throws Error when the certificate does not lead to a root of that bundle: nothing is kept of it but the key
 */
async function obtain(cli: CliContext, folder: string, type: NewKeyType, client: ApiClient, ask: (csr: string) => Promise<ApiAnswer>): Promise<void> {
  // A third of the time that the other commands take to start.
  const { keyTypeOf, makeKeyAndCsr } = await import('../client/key-and-csr.ts');
  const next = fileIn(folder, 'next');
  const pending = existsSync(next) ? readFileSync(next, 'utf8') : undefined;
  const kept = pending !== undefined && keyTypeOf(pending) === type ? pending : undefined;
  const { key, csr } = await makeKeyAndCsr(type, kept);
  if (kept === undefined) writeFileAtomic(next, key, 0o600);
  // Before anything is issued: without it there would be a certificate and nobody to show it to.
  const bundle = (JSON.parse((await client.call(authorities.getTrustBundle)).text) as { pem: string }).pem;
  let answer: string;
  try {
    answer = (await ask(csr)).text;
  } catch (error) {
    // Refused for good: nothing was issued for this key. "Not now" says nothing of an earlier request whose answer was lost.
    if (error instanceof ApiError && error.status >= 400 && error.status < 500 && !TRY_AGAIN.includes(error.status)) rmSync(next, { force: true });
    throw error;
  }
  const issued = JSON.parse(answer) as { certificate: string; chain: string };
  assertLeadsTo(bundle, issued.certificate + issued.chain);
  writeFileAtomic(fileIn(folder, 'bundle'), bundle, 0o644);
  writeFileAtomic(fileIn(folder, 'details'), `${answer}\n`, 0o644);
  writeFileAtomic(fileIn(folder, 'certificate'), issued.certificate, 0o644);
  writeFileAtomic(fileIn(folder, 'chain'), issued.certificate + issued.chain, 0o644);
  renameSync(next, fileIn(folder, 'key'));
  show(cli, answer);
}

/** @throws Error when a peer that has the bundle would not believe the certificate */
function assertLeadsTo(bundle: string, chain: string): void {
  const [leaf, ...issuers] = decodePemAll(chain, 'CERTIFICATE').map((der) => parseCertificate(der));
  const roots = decodePemAll(bundle, 'CERTIFICATE').map((der) => parseCertificate(der));
  const found = leaf ? verifyChain(leaf, issuers, roots, leaf.notBefore) : { fault: 'there is none' };
  if ('fault' in found) throw new Error(`the certificate does not lead to a root of the trust bundle that came from the same server: ${found.fault}`);
}

function keyType(input: CommandInput): NewKeyType {
  const type = text(input, 'key-type') ?? 'ecdsa-p256';
  if (type !== 'ecdsa-p256' && type !== 'ecdsa-p384' && type !== 'ed25519') throw new UsageError('--key-type must be ecdsa-p256, ecdsa-p384 or ed25519');
  return type;
}

const enroll: Command = {
  name: 'enroll',
  usage: '--token-file <file> --dir <folder> [--replace] [options]',
  summary: 'Make a key, enroll with a join token, keep key and certificate in a folder',
  example: 'signet enroll --token-file ./join-token --dir ./identity',
  options: { 'token-file': string, dir: string, 'key-type': string, ttl: string, 'dns-name': { type: 'string', multiple: true }, agent: string, profile: string, replace: { type: 'boolean' } },
  terms: { ttlSeconds: '--ttl', dnsNames: '--dns-name', agentId: '--agent', profile: '--profile' },
  help: {
    'token-file': 'File with the join token.', dir: 'Folder for key.pem (0600), certificate.pem, chain.pem, trust-bundle.pem.', 'key-type': KEY_TYPES, ttl: 'Life asked for, seconds.',
    'dns-name': 'DNS name asked for, of those registered; without it all of them. May be repeated.', agent: 'The agent that is meant: refused when the token was made for another.', profile: 'The profile that is expected.',
    replace: 'Put the new identity in the place of the one that is in the folder: it stays until the new one is there.',
  },
  async run(cli, input) {
    const folder = required(input, 'dir');
    const held = heldIn(folder);
    if (held !== undefined && input.values['replace'] !== true) throw new UsageError(`${folder} holds ${held}: renew it (signet renew), choose another folder, or give --replace`);
    const token = readGiven(required(input, 'token-file'), '--token-file').trim();
    const client = await cli.connect({ token });
    const wanted = { ttlSeconds: wholeNumber(input, 'ttl'), dnsNames: texts(input, 'dns-name'), agentId: text(input, 'agent'), profile: text(input, 'profile') };
    await obtain(cli, folder, keyType(input), client, (csr) => client.call(certificates.issueCertificate, { body: present({ csr, ...wanted }) }));
  },
};

const renew: Command = {
  name: 'renew',
  usage: '--dir <folder> [--key-type <type>] [--ttl <seconds>]',
  summary: 'Renew the certificate in a folder over mutual TLS, with a fresh key',
  example: 'signet renew --dir ./identity',
  options: { dir: string, 'key-type': string, ttl: string },
  terms: { ttlSeconds: '--ttl' },
  help: { dir: 'Folder that `signet enroll` made.', 'key-type': KEY_TYPES, ttl: 'Life asked for, seconds.' },
  async run(cli, input) {
    const folder = required(input, 'dir');
    const client = await cli.connect({ identity: readIdentity(folder) });
    await obtain(cli, folder, keyType(input), client, (csr) => client.call(certificates.renewCertificate, { body: present({ csr, ttlSeconds: wholeNumber(input, 'ttl') }) }));
  },
};

/** What an agent does for itself. */
export const IDENTITY_COMMANDS: Command[] = [enroll, renew];

export const CERTIFICATE_COMMANDS: Command[] = [
  lister('certificate list', certificates.listCertificates, 'List certificates', ['serial', 'status', 'agentId', 'instanceId', 'generation', 'notAfter'], '--status good --expires-before 2026-12-01'),
  one('certificate show', certificates.getCertificate, 'Show a certificate'),
  one('certificate revoke', certificates.revokeCertificate, 'Revoke a certificate for good', {
    body: bodyOf(certificates.revokeCertificate, { reason: asText('reason') }), example: '--reason keyCompromise', danger: ({ positionals: [serial] }) => `Revoke certificate ${serial} for good?`,
  }),
  one('certificate hold', certificates.holdCertificate, 'Put a certificate on hold'),
  one('certificate release', certificates.releaseCertificate, 'Take the operator’s hold away'),
];
