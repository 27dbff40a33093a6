import fs from 'node:fs';
import tls from 'node:tls';
import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { parseCertificate, type Certificate } from '../../x509/certificate.ts';
import { decodePemAll, encodePem } from '../../x509/pem.ts';
import { verifySignature } from '../../x509/public-key.ts';
import { fetchTrustBundle } from '../first-contact.ts';
import type { Question, Reply } from './ask.ts';
import type { TrustBundleSource } from './options.ts';
import { messageOf } from './sources.ts';

/** The roots, and how they came to be trusted. */
export interface Trust {
  pem(): string;
  roots(): readonly Certificate[];
  /** Goes up whenever the roots change: what was judged by others is judged anew. */
  generation(): number;
  /** The last update that was kept out, and why. */
  refused(): string | undefined;
  /** Looks for an update now. */
  refresh(): Promise<void>;
  close(): void;
}

export interface TrustNeeds {
  source: TrustBundleSource;
  trustDomain: string;
  /** API doors. */
  refreshFrom: readonly string[];
  refreshMs: number;
  timeoutMs: number;
  ask: (question: Question) => Promise<Reply>;
  clock: Clock;
  onChange: () => void;
}

/** A bundle that is not taken. */
class BundleError extends Error {
  override readonly name = 'BundleError';
}

const MAX_BUNDLE = 262_144;
const MAX_ROOTS = 16;

/**
 * The roots of a bundle, each checked for what a root is: a CA that signed itself with the very key in it. One that is not makes the whole bundle worth nothing: it is not
 * what an authority publishes. Roots that ended are left out. @throws BundleError
 */
function readRoots(pem: string, now: Date): Certificate[] {
  if (pem.length > MAX_BUNDLE) throw new BundleError('the bundle is too large');
  let roots: Certificate[];
  try {
    roots = decodePemAll(pem, 'CERTIFICATE').map((der) => parseCertificate(der));
  } catch (error) {
    throw new BundleError(`the bundle cannot be read: ${messageOf(error)}`, { cause: error });
  }
  if (roots.length > MAX_ROOTS) throw new BundleError(`the bundle has more than ${MAX_ROOTS} roots`);
  for (const root of roots) {
    const isAuthority = root.basicConstraints?.ca === true && root.keyUsage?.includes('keyCertSign') !== false;
    if (!isAuthority || !root.subjectName.equals(root.issuerName)) throw new BundleError('the bundle has a certificate that is no root');
    if (!verifySignature(root.spki, root.signatureAlgorithm, root.tbs, root.signature)) throw new BundleError('the bundle has a root that was not signed with its own key');
  }
  const living = roots.filter(({ notAfter }) => notAfter > now);
  if (living.length === 0) throw new BundleError('the bundle has no root that is still valid');
  return living;
}

const published = z.object({ trustDomain: z.string(), pem: z.string() });

/** Opens the trust bundle and keeps it up to date. @throws Error when there is none to begin with */
export async function openTrust(needs: TrustNeeds): Promise<Trust> {
  const { source, refreshFrom, refreshMs, clock, onChange } = needs;
  let roots = readRoots(await first(source), clock.now());
  let pem = pemOf(roots);
  let generation = 1;
  let refused: string | undefined;
  let running: Promise<void> | undefined;

  function take(text: string): void {
    const next = readRoots(text, clock.now());
    const nextPem = pemOf(next);
    refused = undefined;
    if (nextPem === pem) return;
    [roots, pem] = [next, nextPem];
    generation++;
    onChange();
  }

  async function look(): Promise<void> {
    try {
      if (typeof source === 'object' && 'file' in source) take(fs.readFileSync(source.file, 'utf8'));
      else if (refreshFrom.length > 0) take(await firstOf(refreshFrom, (url) => askForRoots(needs, url, pem)));
    } catch (error) {
      // What is trusted stays: a bundle is replaced by a better one, never by none.
      refused = messageOf(error);
    }
  }
  const refresh = (): Promise<void> => (running ??= look().finally(() => (running = undefined)));
  const timer = setInterval(() => void refresh(), refreshMs);
  timer.unref();
  return { pem: () => pem, roots: () => roots, generation: () => generation, refused: () => refused, refresh, close: () => clearInterval(timer) };
}

const pemOf = (roots: readonly Certificate[]): string => roots.map(({ der }) => encodePem('CERTIFICATE', der)).join('');

async function first(source: TrustBundleSource): Promise<string> {
  if (typeof source === 'string') return source;
  if ('pem' in source) return source.pem;
  if ('file' in source) return fs.readFileSync(source.file, 'utf8');
  return fetchTrustBundle(source.url, source.fingerprint);
}

async function firstOf<T>(urls: readonly string[], work: (url: string) => Promise<T>): Promise<T> {
  let fault: unknown;
  for (const url of urls) {
    try {
      return await work(url);
    } catch (error) {
      fault = error;
    }
  }
  throw fault;
}

/**
 * What the authority publishes now, over TLS that the roots trusted so far vouch for. A certificate of an agent is no authority's, whatever names it was registered with.
 */
async function askForRoots({ ask, timeoutMs, trustDomain }: TrustNeeds, url: string, ca: string): Promise<string> {
  const checkServerIdentity = (host: string, certificate: tls.PeerCertificate): Error | undefined =>
    certificate.subjectaltname?.includes('URI:') === true ? new BundleError('somebody with an identity of its own answers instead of the authority') : tls.checkServerIdentity(host, certificate);
  const target = new URL('/v1/trust-bundle', url);
  if (target.protocol !== 'https:') throw new BundleError('new roots are asked for over https only');
  const reply = await ask({ url: target.href, maxBytes: MAX_BUNDLE, timeoutMs, headers: { accept: 'application/json' }, tls: { ca, checkServerIdentity } });
  if (reply.status !== 200) throw new BundleError(`${target.origin}: status ${reply.status}`);
  const said = published.parse(JSON.parse(reply.octets.toString('utf8')));
  if (said.trustDomain !== trustDomain) throw new BundleError(`the bundle is of the trust domain ${said.trustDomain}`);
  return said.pem;
}
