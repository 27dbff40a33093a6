/** The openssl command line as tests of interoperability drive it. */
import fs from 'node:fs';
import path from 'node:path';
import { run, type Ran, type Verdict } from './interop.ts';
import type { CsrMaker, Site, SiteLeaf, SubjectKey } from './interop-site.ts';

const NEW_KEY: Record<SubjectKey, string[]> = {
  'ecdsa-p256': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ecdsa-p384': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  ed25519: ['ed25519'],
  'rsa-2048': ['rsa:2048'],
};

export const openssl = (cwd: string, ...args: string[]): Promise<Ran> => run('openssl', args, { cwd });

export const makeCsrByOpenssl: CsrMaker = async (folder, name, key) => {
  const made = await openssl(folder, 'req', '-new', '-newkey', ...NEW_KEY[key], '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  if (made.code !== 0) throw new Error(made.stderr);
};

export interface VerifyOptions {
  /** Files. */
  root: string;
  untrusted: string;
  lists: string;
  leaf: string;
  /** More options of `openssl verify`. */
  more?: string[];
}

/** `openssl verify -x509_strict -crl_check_all`: every certificate of the chain must be on no list, and there must be a list for each. */
export async function verify(site: Site, { root, untrusted, lists, leaf, more = [] }: VerifyOptions): Promise<Verdict> {
  const { code, stdout, stderr } = await openssl(site.folder, 'verify', '-x509_strict', '-crl_check_all', ...more, '-CRLfile', lists, '-CAfile', root, '-untrusted', untrusted, leaf);
  return { accepted: code === 0 && stdout.includes(`${leaf}: OK`), said: stdout + stderr };
}

export interface OcspQuestion {
  /** Files of the root, of the leaf's issuer and of what else is known between them. */
  root: string;
  issuer: string;
  leaf: string;
  /** Options in front of the certificate, which they govern: -sha256. */
  hash?: string[];
  /** More options: -nonce, -respin, … */
  more?: string[];
}

const ocspArguments = ({ issuer, leaf, hash = [] }: Pick<OcspQuestion, 'issuer' | 'leaf' | 'hash'>): string[] => ['ocsp', ...hash, '-issuer', issuer, '-cert', leaf];

/** What `openssl ocsp` makes of an answer: good only when it could verify it. */
export async function askOcsp(site: Site, question: OcspQuestion, from: string[] = ['-url', `${site.service.signet.urls.status}/ocsp`]): Promise<Verdict> {
  const { root, issuer, leaf, more = [] } = question;
  const { code, stdout, stderr } = await openssl(site.folder, ...ocspArguments(question), '-CAfile', root, '-verify_other', issuer, ...more, ...from);
  return { accepted: code === 0 && stderr.includes('Response verify OK') && stdout.includes(`${leaf}: good`), said: stdout + stderr };
}

let sequence = 0;

/** The request `openssl ocsp` makes, asked by GET (RFC 6960 appendix A.1), and what it makes of the answer. */
export async function askOcspByGet(site: Site, question: OcspQuestion): Promise<Verdict> {
  const [request, answer] = [`get-${++sequence}.req`, `get-${sequence}.resp`];
  const { code, stderr } = await openssl(site.folder, ...ocspArguments(question), ...(question.more ?? []), '-reqout', request);
  if (code !== 0) throw new Error(stderr);
  const der = fs.readFileSync(path.join(site.folder, request));
  const { status, body } = await site.service.status.send('GET', `/ocsp/${encodeURIComponent(der.toString('base64'))}`);
  if (status !== 200) throw new Error(`GET of an OCSP request was answered ${status}`);
  fs.writeFileSync(path.join(site.folder, answer), body);
  return askOcsp(site, { ...question, hash: [], more: [] }, ['-reqin', request, '-respin', answer]);
}

/** One request over TLS by `openssl s_client`. */
export interface TlsCall {
  /** host:port */
  connect: string;
  /** Files. */
  root: string;
  lists?: string;
  /** The client's certificate and key. */
  client?: Pick<SiteLeaf, 'chainFile' | 'keyFile'>;
  request: string;
  more?: string[];
}

export interface TlsAnswer extends Verdict {
  /** Status of the HTTP answer; undefined when there was none. */
  status: number | undefined;
  isResumed: boolean;
  protocol: string | undefined;
}

/** Accepted: the handshake was made and the door's certificate verified, with its status when there are lists. */
export async function tlsCall(site: Site, { connect, root, lists, client, request, more = [] }: TlsCall): Promise<TlsAnswer> {
  const identity = client ? ['-cert', client.chainFile, '-cert_chain', client.chainFile, '-key', client.keyFile] : [];
  const revocation = lists === undefined ? [] : ['-crl_check_all', '-CRL', lists];
  const args = ['s_client', '-connect', connect, '-CAfile', root, '-x509_strict', '-verify_return_error', ...revocation, ...identity, '-ign_eof', ...more];
  const { code, stdout, stderr } = await run('openssl', args, { cwd: site.folder, input: `GET ${request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n` });
  const said = stdout + stderr;
  const status = /HTTP\/1\.1 (\d{3})/.exec(said)?.[1];
  return {
    accepted: code === 0 && said.includes('Verify return code: 0 (ok)') && /(New|Reused), TLSv1/.test(said),
    said,
    status: status === undefined ? undefined : Number(status),
    isResumed: said.includes('Reused, TLSv1.3'),
    protocol: /(?:New|Reused), (TLSv[\d.]+)/.exec(said)?.[1],
  };
}
