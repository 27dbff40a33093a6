/** CSRs made before the clock starts, each with a key of its own, and the crypto floor they set. */
import { createHash, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { bitString, context, integer, oid, sequence } from '../../src/x509/der/writer.ts';
import { OID } from '../../src/x509/oids.ts';

/** A key pair and its certification request. */
export interface MadeCsr {
  privateKey: KeyObject;
  spki: Buffer;
  /** SHA-256 of the SubjectPublicKeyInfo, hexadecimal. */
  keyHash: string;
  tbs: Buffer;
  signature: Buffer;
  der: Buffer;
}

function makeCsr(): MadeCsr {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const tbs = sequence(integer(0), sequence(), spki, context(0));
  const signature = sign('sha256', tbs, privateKey);
  const keyHash = createHash('sha256').update(spki).digest('hex');
  return { privateKey, spki, keyHash, tbs, signature, der: sequence(tbs, sequence(oid(OID.ecdsaWithSha256)), bitString(signature)) };
}

/** CSRs that are each handed out once. */
export interface CsrSupply {
  /** @throws Error when there are not so many left */
  take(count: number): MadeCsr[];
  /** Key hashes of what was taken. */
  readonly taken: ReadonlySet<string>;
}

export function makeCsrs(count: number): CsrSupply {
  const made = Array.from({ length: count }, makeCsr);
  const taken = new Set<string>();
  return {
    taken,
    take(wanted) {
      if (wanted > made.length) throw new Error(`${wanted} CSRs are wanted, ${made.length} are left`);
      const csrs = made.splice(-wanted);
      for (const { keyHash } of csrs) taken.add(keyHash);
      return csrs;
    },
  };
}

const FLOOR_SAMPLES = 1_000;

/** CPU µs of what no CA in this runtime can do without: one verification with a key never seen before, and one signature, both P-256 by node:crypto. */
export interface CryptoFloor {
  measure(): number;
}

export function createFloor(): CryptoFloor {
  const samples = Array.from({ length: FLOOR_SAMPLES }, makeCsr);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    measure() {
      const before = process.cpuUsage();
      for (const { tbs, spki, signature } of samples) {
        if (!verify('sha256', tbs, { key: spki, format: 'der', type: 'spki' }, signature)) throw new Error('a CSR does not verify');
        sign('sha256', tbs, privateKey);
      }
      const used = process.cpuUsage(before);
      return (used.user + used.system) / samples.length;
    },
  };
}
