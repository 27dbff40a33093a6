/** Grades a TLS server from outside with `openssl s_client`: what is wrong with it, one line each. Nothing in here knows Signet. */
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { run } from './interop.ts';

export interface GradedServer {
  port: number;
  /** Folder with the file `root.pem`: the one root to trust. */
  folder: string;
  /** The lowest version it should speak. */
  lowest: 'TLSv1.2' | 'TLSv1.3';
}

const VERSIONS = { 'TLSv1': '-tls1', 'TLSv1.1': '-tls1_1', 'TLSv1.2': '-tls1_2', 'TLSv1.3': '-tls1_3' } as const;
type Version = keyof typeof VERSIONS;

/** RFC 9325 §4.2: forward secrecy and authenticated encryption. */
const GOOD_CIPHERS = ['ECDSA', 'RSA'].flatMap((key) => ['AES256-GCM-SHA384', 'AES128-GCM-SHA256', 'CHACHA20-POLY1305'].map((cipher) => `ECDHE-${key}-${cipher}`));
/** Everything this openssl can do, the weakest included. */
const EVERYTHING = 'ALL:COMPLEMENTOFALL:@SECLEVEL=0';

interface Handshake {
  made: boolean;
  said: string;
}

/** One handshake; standard input ends at once, and the connection with it. */
async function handshake({ port, folder }: GradedServer, ...options: string[]): Promise<Handshake> {
  const { stdout, stderr } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...options], { cwd: folder });
  const said = stdout + stderr;
  return { made: /(New|Reused), (TLSv1[.0-9]*|SSLv3), Cipher is (?!\(NONE\))/.test(said), said };
}

/** All faults found; none for a server that is as it should be. */
export async function gradeTls(server: GradedServer): Promise<string[]> {
  const checks = [protocols, ciphers, groups, renegotiation, fallback, applicationProtocol, serverNames, certificates];
  const faults: string[] = [];
  for (const check of checks) faults.push(...(await check(server)));
  return faults;
}

async function protocols(server: GradedServer): Promise<string[]> {
  const wanted: readonly Version[] = server.lowest === 'TLSv1.3' ? ['TLSv1.3'] : ['TLSv1.2', 'TLSv1.3'];
  const faults: string[] = [];
  for (const [version, option] of Object.entries(VERSIONS) as [Version, string][]) {
    const { made, said } = await handshake(server, option, ...(version === 'TLSv1.3' ? [] : ['-cipher', EVERYTHING]));
    if (made !== wanted.includes(version)) faults.push(`protocol: ${version} is ${made ? 'spoken' : 'not spoken'}`);
    if (made && !said.includes('Compression: NONE')) faults.push(`compression: ${version} has it`);
  }
  return faults;
}

async function ciphers(server: GradedServer): Promise<string[]> {
  const weak = ['-cipher', `${EVERYTHING}:${GOOD_CIPHERS.map((name) => `-${name}`).join(':')}`];
  const offers: [string, string[]][] = [
    ['which is not one of RFC 9325', ['-tls1_2', ...weak]],
    ['which has a truncated tag', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_8_SHA256']],
  ];
  const faults: string[] = [];
  for (const [what, options] of offers) {
    const { made, said } = await handshake(server, ...options);
    if (made) faults.push(`cipher: ${/Cipher is (\S+)/.exec(said)?.[1]} is accepted, ${what}`);
  }
  return faults;
}

async function groups(server: GradedServer): Promise<string[]> {
  const faults: string[] = [];
  for (const [group, shown] of [['X25519', 'X25519'], ['P-256', 'ECDH, prime256v1'], ['P-384', 'ECDH, secp384r1']] as const) {
    const { said } = await handshake(server, '-groups', group);
    if (!said.includes(`Server Temp Key: ${shown}`)) faults.push(`group: ${group} is not known`);
  }
  // A version where the group counts: below 1.3, RSA key exchange would do without.
  const weak = await handshake(server, '-tls1_2', '-cipher', 'ECDHE:@SECLEVEL=0', '-groups', 'secp192r1:secp224r1');
  if (weak.made) faults.push('group: one of less than 128 bits of strength is accepted');
  return faults;
}

/** Asks for another handshake on a connection of TLS 1.2 (a later version has no such thing). */
async function renegotiation(server: GradedServer): Promise<string[]> {
  const { made, said } = await handshake(server, '-tls1_2', '-cipher', EVERYTHING);
  if (!made) return [];
  const faults = said.includes('Secure Renegotiation IS supported') ? [] : ['renegotiation: RFC 5746 is not supported'];
  const again = await new Promise<string>((resolve) => {
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-tls1_2', '-cipher', EVERYTHING], { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let asked = false;
    const hear = (text: Buffer): void => {
      output += text.toString('latin1');
      if (!asked && output.includes('Extended master secret')) {
        asked = true;
        client.stdin.write('R\n');
      }
      if (/RENEGOTIATING[^]*(depth=|verify|error|alert)/.test(output)) client.kill();
    };
    for (const stream of [client.stdout, client.stderr]) stream.on('data', hear);
    client.stdin.on('error', () => undefined);
    client.once('close', () => resolve(output.slice(output.indexOf('RENEGOTIATING'))));
  });
  return /no renegotiation/.test(again) ? faults : [...faults, 'renegotiation: a client may ask for it'];
}

/** RFC 7507: a client that was made to fall back is told. Where 1.2 is not spoken there is nothing to fall back to. */
async function fallback(server: GradedServer): Promise<string[]> {
  const fellBack = await handshake(server, '-tls1_2', '-fallback_scsv', '-cipher', EVERYTHING);
  return fellBack.made ? ['fallback: to TLSv1.2 is possible'] : [];
}

async function applicationProtocol(server: GradedServer): Promise<string[]> {
  const faults: string[] = [];
  const http = await handshake(server, '-alpn', 'h2,http/1.1');
  if (!http.said.includes('ALPN protocol: http/1.1')) faults.push('ALPN: http/1.1 is not chosen');
  if ((await handshake(server, '-alpn', 'h2')).made) faults.push('ALPN: a client that speaks something else is let in');
  return faults;
}

/** Every name gets the same certificate: a name is no address, and tells nobody what else is there. */
async function serverNames(server: GradedServer): Promise<string[]> {
  const shown = await Promise.all([['-noservername'], ['-servername', 'localhost'], ['-servername', 'other.example']].map(async (options) => leafOf((await handshake(server, ...options)).said)?.fingerprint256));
  return new Set(shown).size === 1 && shown[0] !== undefined ? [] : ['names: the certificate depends on the name asked for'];
}

const leafOf = (said: string): X509Certificate | undefined => certificatesIn(said)[0];
const certificatesIn = (said: string): X509Certificate[] => (said.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((pem) => new X509Certificate(pem));

async function certificates(server: GradedServer): Promise<string[]> {
  const { said } = await handshake(server, '-showcerts', '-CAfile', 'root.pem', '-x509_strict');
  // The session's leaf is printed once more behind the chain.
  const chain = certificatesIn(said.slice(0, said.indexOf('Server certificate')));
  const faults = said.includes('Verify return code: 0 (ok)') ? [] : [`chain: not verified: ${/Verify return code: (.*)/.exec(said)?.[1]}`];
  chain.forEach((certificate, i) => {
    const next = chain[i + 1];
    if (next && !certificate.checkIssued(next)) faults.push(`chain: certificate ${i} is not issued by the next one`);
    if (certificate.subject === certificate.issuer) faults.push(`chain: certificate ${i} is its own issuer, and of no use there`);
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
    const isWeak = type === 'rsa' ? (details?.modulusLength ?? 0) < 2048 : type === 'ec' ? !['prime256v1', 'secp384r1'].includes(details?.namedCurve ?? '') : type !== 'ed25519';
    if (isWeak) faults.push(`key: certificate ${i} has a weak one`);
    if (i === 0 && type !== 'ec') faults.push(`key: the server shows ${type}, not ECDSA`);
  });
  return faults;
}
