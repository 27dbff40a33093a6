/** Certificates of nobody's CA, as `openssl req -x509` makes them: what a relying party may bring along. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './postgres.ts';

export interface SelfSigned {
  /** PEM. */
  certificate: string;
  key: string;
  /** As a client shows them. */
  identity: { chain: string; key: string };
}

export interface SelfSignedOptions {
  /** The arguments of -newkey. */
  newKey?: string[];
  /** Negative: it has expired. */
  days?: number;
  version?: 1 | 3;
  /** Of its subject alternative name, as openssl has them: `DNS:a.example`, `IP:127.0.0.1`. */
  names?: string[];
}

export function selfSigned(commonName: string, { newKey = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], days = 30, version = 3, names = [] }: SelfSignedOptions = {}): SelfSigned {
  const folder = temporaryFolder('signet-self-signed-');
  const file = (name: string) => path.join(folder, name);
  try {
    execFileSync('openssl', ['req', '-newkey', ...newKey, '-nodes', '-keyout', file('key'), '-out', file('csr'), '-subj', `/CN=${commonName}`], { stdio: 'pipe' });
    fs.writeFileSync(file('extensions'), `subjectKeyIdentifier=hash\nextendedKeyUsage=serverAuth\n${names.length > 0 ? `subjectAltName=${names.join(',')}\n` : ''}`);
    // Without an extension openssl makes version 1.
    const extensions = version === 3 ? ['-extfile', file('extensions')] : [];
    execFileSync('openssl', ['x509', '-req', '-in', file('csr'), '-signkey', file('key'), '-days', String(days), ...extensions, '-out', file('certificate')], { stdio: 'pipe' });
    const [certificate, key] = [fs.readFileSync(file('certificate'), 'utf8'), fs.readFileSync(file('key'), 'utf8')];
    return { certificate, key, identity: { chain: certificate, key } };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
