import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { COMPLETE } from '../db/crls.ts';
import type { Db } from '../db/client.ts';
import { readListSigners, type EvidenceEntry, type ListSigner } from '../db/worlds.ts';
import { verifyCrl, type CrlFault } from '../verify/crl-signer.ts';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import type { CertificateList } from '../x509/crl.ts';
import { DerError } from '../x509/der/reader.ts';
import { decodePem } from '../x509/pem.ts';
import { bucketOfSerial, SERIAL_BYTES } from '../x509/serial.ts';

/** A list from outside the database whose signature is by one of its issuers. */
export interface EvidenceList {
  file: string;
  issuerId: string;
  /** COMPLETE for the complete list. */
  shard: number;
  number: bigint;
  thisUpdate: Date;
  /** What it says of each certificate. @throws DerError at the first entry that is not DER */
  entries(): Generator<EvidenceEntry, void, undefined>;
}

/** A file that tells nothing, and why. */
export interface UnusableEvidence {
  file: string;
  why: string;
}

type Signer = ListSigner & { certificate: Certificate };

const MS_PER_DAY = 86_400_000;
const FAULTS: Readonly<Record<CrlFault, string>> = {
  malformed: 'it is no certificate revocation list',
  'unknown-issuer': 'it is of an issuer that this database does not know',
  'bad-signature': 'its signature is not by the issuer it names',
  'unknown-critical-extension': 'it carries a critical extension that Signet never writes',
};

/** The copies in a folder (config `crlCopyDir`); none when there is no such folder. */
export function listCopies(dir: string | undefined): string[] {
  if (dir === undefined) return [];
  try {
    return readdirSync(dir).filter((file) => file.endsWith('.crl')).toSorted().map((file) => path.join(dir, file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Reads lists (DER or PEM) and tells those that one of this database's issuers signed from the others. */
export async function readEvidence(db: Db, files: readonly string[]): Promise<{ lists: EvidenceList[]; unusable: UnusableEvidence[] }> {
  const signers = (await readListSigners(db)).map((signer): Signer => ({ ...signer, certificate: parseCertificate(signer.der) }));
  const lists: EvidenceList[] = [];
  const unusable: UnusableEvidence[] = [];
  for (const file of files) {
    const read = readList(file, signers);
    if ('why' in read) unusable.push(read);
    else lists.push(read);
  }
  return { lists, unusable };
}

function readList(file: string, signers: readonly Signer[]): EvidenceList | UnusableEvidence {
  let der: Buffer;
  try {
    der = toDer(readFileSync(file));
  } catch (error) {
    return { file, why: `it cannot be read: ${(error as Error).message}` };
  }
  const verified = verifyCrl(der, signers);
  if ('fault' in verified) return { file, why: FAULTS[verified.fault] };
  const { list, signer, uris } = verified;
  const shard = shardOfUris(uris);
  if (list.crlNumber === undefined || shard === undefined) return { file, why: 'it has no number, or does not say which part of the certificates it is about' };
  return { file, issuerId: signer.id, shard, number: list.crlNumber, thisUpdate: list.thisUpdate, entries: () => entriesOf(list, signer) };
}

const toDer = (bytes: Buffer): Buffer => (bytes.subarray(0, 11).equals(Buffer.from('-----BEGIN ')) ? decodePem(bytes.toString('latin1'), 'X509 CRL') : bytes);

function shardOfUris(uris: readonly string[]): number | undefined {
  const [uri] = uris;
  if (uri === undefined) return COMPLETE;
  const [, shard] = /\/(\d{1,4})\.crl$/.exec(uri) ?? [];
  return shard === undefined ? undefined : Number(shard);
}

function* entriesOf(list: CertificateList, signer: Signer): Generator<EvidenceEntry, void, undefined> {
  for (const { serial: magnitude, revokedAt, reason, extensions } of list.entries()) {
    if (extensions.some(({ critical }) => critical)) throw new DerError('an entry has a critical extension', 0);
    // Serials of ours are 20 octets; a magnitude comes without leading zeros.
    const serial = magnitude.length < SERIAL_BYTES ? Buffer.concat([Buffer.alloc(SERIAL_BYTES - magnitude.length), magnitude]) : magnitude;
    const bucket = bucketOfSerial(serial);
    yield {
      issuerId: signer.id,
      serial,
      revokedAt,
      reason: reason ?? 0,
      shard: signer.shardCount > 1 ? serial.readUInt16BE(4) % signer.shardCount : 0,
      notAfter: bucket < 0 ? signer.notAfter : new Date((bucket + 1) * MS_PER_DAY - 1),
    };
  }
}
