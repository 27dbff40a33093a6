import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { readGiven } from './given-file.ts';

/** Files of an identity directory. `next`: the key of a request that has had no answer yet. */
const FILES = { key: 'key.pem', next: 'next-key.pem', certificate: 'certificate.pem', chain: 'chain.pem', bundle: 'trust-bundle.pem', details: 'identity.json' } as const;
export const fileIn = (folder: string, name: keyof typeof FILES): string => path.join(folder, FILES[name]);

/** Certificate chain and key of a folder. Where the last change of both was cut short, the key is put in its place first. */
export function readIdentity(folder: string): { certificate: string; key: string } {
  const certificate = readGiven(fileIn(folder, 'chain'), '--dir');
  settle(folder, certificate);
  return { certificate, key: readGiven(fileIn(folder, 'key'), '--dir') };
}

/** What would be lost if another identity were put into the folder, in words; undefined: nothing. Where the last change was cut short, it is finished first. */
export function heldIn(folder: string): string | undefined {
  const chain = fileIn(folder, 'chain');
  const certificate = existsSync(chain) ? readFileSync(chain, 'utf8') : undefined;
  if (certificate !== undefined) settle(folder, certificate);
  if (!existsSync(fileIn(folder, 'key'))) return undefined;
  if (certificate === undefined) return 'a private key';
  const { subjectAltName, validToDate } = new X509Certificate(certificate);
  return `the identity ${/URI:([^,]+)/.exec(subjectAltName ?? '')?.[1] ?? 'of somebody'}, valid until ${validToDate.toISOString().replace(/[.]\d+/, '')}`;
}

function settle(folder: string, certificate: string): void {
  const next = fileIn(folder, 'next');
  if (existsSync(next) && new X509Certificate(certificate).checkPrivateKey(createPrivateKey(readFileSync(next)))) renameSync(next, fileIn(folder, 'key'));
}
