import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';

/** Files of an identity directory. `next`: the key of a request that has had no answer yet. */
const FILES = { key: 'key.pem', next: 'next-key.pem', certificate: 'certificate.pem', chain: 'chain.pem', bundle: 'trust-bundle.pem', details: 'identity.json' } as const;
export const fileIn = (folder: string, name: keyof typeof FILES): string => path.join(folder, FILES[name]);

/** Certificate chain and key of a folder. Where the last change of both was cut short, the key is put in its place first. */
export function readIdentity(folder: string): { certificate: string; key: string } {
  const certificate = readFileSync(fileIn(folder, 'chain'), 'utf8');
  const next = fileIn(folder, 'next');
  if (existsSync(next) && new X509Certificate(certificate).checkPrivateKey(createPrivateKey(readFileSync(next)))) renameSync(next, fileIn(folder, 'key'));
  return { certificate, key: readFileSync(fileIn(folder, 'key'), 'utf8') };
}
