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

/** With a description in front of the request, as a person would look at it. */
export const makeCsrByOpenssl: CsrMaker = async (folder, name, key, commonName) => {
  const made = await openssl(folder, 'req', '-new', '-text', '-newkey', ...NEW_KEY[key], '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${commonName}`);
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

/** Whether an answer that was had before is the one to a request that was made before: its nonce. (With -cert, openssl would not read the request.) */
export async function fits(site: Site, { root, issuer }: Pick<OcspQuestion, 'root' | 'issuer'>, request: string, answer: string): Promise<Verdict> {
  const { code, stdout, stderr } = await openssl(site.folder, 'ocsp', '-no_nonce', '-reqin', request, '-respin', answer, '-CAfile', root, '-verify_other', issuer);
  return { accepted: code === 0 && stderr.includes('Response verify OK'), said: stdout + stderr };
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
  const [nonce, said] = await Promise.all([fits(site, question, request, answer), askOcsp(site, { ...question, more: ['-no_nonce'] }, ['-respin', answer])]);
  return nonce.accepted ? said : nonce;
}

/** One request over TLS by `openssl s_client`. */
export interface TlsCall {
  /** host:port */
  connect: string;
  /** File of the root, with the lists behind it: it takes no other file with more than one. */
  root: string;
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

/** Accepted: the handshake was made, and each certificate the door showed was verified and on no list. */
export async function tlsCall(site: Site, { connect, root, client, request, more = [] }: TlsCall): Promise<TlsAnswer> {
  const identity = client ? ['-cert', client.chainFile, '-cert_chain', client.chainFile, '-key', client.keyFile] : [];
  const args = ['s_client', '-connect', connect, '-CAfile', root, '-x509_strict', '-crl_check_all', '-verify_return_error', ...identity, '-ign_eof', ...more];
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
