/** certtool and ocsptool, GnuTLS's command line, as tests of interoperability drive them. */
import fs from 'node:fs';
import path from 'node:path';
import { run, type Ran, type Verdict } from './interop.ts';
import type { CsrMaker, Site, SubjectKey } from './interop-site.ts';

const NEW_KEY: Record<SubjectKey, string[]> = {
  'ecdsa-p256': ['--key-type=ecdsa', '--curve=secp256r1'],
  'ecdsa-p384': ['--key-type=ecdsa', '--curve=secp384r1'],
  ed25519: ['--key-type=ed25519'],
  'rsa-2048': ['--key-type=rsa', '--bits=2048'],
};

export const certtool = (cwd: string, ...args: string[]): Promise<Ran> => run('certtool', args, { cwd });

/** As certtool does it by itself: a description in front of the request, the older label. */
export const makeCsrByCerttool: CsrMaker = async (folder, name, key, commonName) => {
  fs.writeFileSync(path.join(folder, `${name}.template`), `cn = ${commonName}\nsigning_key\n`);
  const made = [
    await certtool(folder, '--generate-privkey', '--no-text', ...NEW_KEY[key], '--outfile', `${name}.key`),
    await certtool(folder, '--generate-request', '--load-privkey', `${name}.key`, '--template', `${name}.template`, '--outfile', `${name}.csr`),
  ];
  for (const { code, stderr } of made) if (code !== 0) throw new Error(stderr);
};

/** `certtool --verify`: the chain in `chain` leads to `root`, and none of it is on a list. Files. */
export async function verifyChain(site: Site, { root, chain, lists }: { root: string; chain: string; lists: string }): Promise<Verdict> {
  const { code, stdout, stderr } = await certtool(site.folder, '--verify', '--load-ca-certificate', root, '--load-crl', lists, '--infile', chain);
  return { accepted: code === 0 && stdout.includes('Chain verification output: Verified. The certificate is trusted.'), said: stdout + stderr };
}

/** `certtool --verify-crl`. Files. */
export async function verifyList(site: Site, { issuer, list }: { issuer: string; list: string }): Promise<Verdict> {
  const { code, stdout, stderr } = await certtool(site.folder, '--verify-crl', '--load-ca-certificate', issuer, '--infile', list);
  return { accepted: code === 0 && stdout.includes('Verification output: Verified. The certificate is trusted.'), said: stdout + stderr };
}

export interface Question {
  /** Files. */
  leaf: string;
  issuer: string;
  trusted: string;
  more?: string[];
}

/** `ocsptool --ask`: good only when it could verify the answer. */
export async function ask(site: Site, { leaf, issuer, trusted, more = [] }: Question): Promise<Verdict> {
  const url = `${site.service.signet.urls.status}/ocsp`;
  const args = [`--ask=${url}`, '--load-cert', leaf, '--load-issuer', issuer, '--load-trust', trusted, ...more];
  const { code, stdout, stderr } = await run('ocsptool', args, { cwd: site.folder });
  return { accepted: code === 0 && stdout.includes('Verifying OCSP Response: Success.') && stdout.includes('Certificate Status: good'), said: stdout + stderr };
}
