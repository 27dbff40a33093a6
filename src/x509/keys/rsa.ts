/** RSA public keys (RFC 3279 §2.3.1): reading them, and the weaknesses that can be seen cheaply. */
import { SignetError } from '../../core/errors.ts';
import { DerError, open, unsignedIntegerBytes } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';

export interface RsaKey {
  modulus: bigint;
  exponent: bigint;
  /** Length of the modulus. */
  bits: number;
}

/** Octets of modulus above which a key is not even turned into a number. */
const MAX_MODULUS_BYTES = 2048;

/** RSAPublicKey ::= SEQUENCE { modulus, publicExponent }. @throws SignetError `csr-malformed`, `key-type-not-allowed` */
export function readRsaKey(key: Buffer): RsaKey {
  try {
    const top = open(key);
    const fields = top.sequence('RSAPublicKey');
    top.end('RSAPublicKey');
    const modulus = unsignedIntegerBytes(fields.expect(TAG.INTEGER, 'modulus'));
    const exponent = unsignedIntegerBytes(fields.expect(TAG.INTEGER, 'publicExponent'));
    fields.end('RSAPublicKey');
    if (modulus.length > MAX_MODULUS_BYTES || exponent.length > MAX_MODULUS_BYTES) throw new SignetError('key-type-not-allowed', 'the RSA key is too large');
    const bits = modulus.length * 8 - (Math.clz32(modulus[0] ?? 0) - 24);
    return { modulus: toNumber(modulus), exponent: toNumber(exponent), bits };
  } catch (error) {
    if (error instanceof DerError) throw new SignetError('csr-malformed', `the RSA key is not DER: ${error.message}`, { cause: error });
    throw error;
  }
}

const toNumber = (octets: Buffer): bigint => BigInt(`0x${octets.toString('hex')}`);

/** What is wrong with a key, or undefined. */
export function rsaWeakness({ modulus, exponent }: RsaKey): string | undefined {
  if (exponent < 3n || exponent % 2n === 0n || exponent > 0xffff_ffffn) return 'has a public exponent that is not odd or not from 3 to 2^32';
  if (modulus % 2n === 0n) return 'has an even modulus';
  const residue = modulus % PRIMORIAL;
  if (SMALL_PRIMES.some((prime) => residue % BigInt(prime) === 0n)) return 'has a modulus with a small factor';
  if (isRocaFingerprint(residue)) return 'has the fingerprint of ROCA (CVE-2017-15361)';
  if (hasCloseFactors(modulus)) return 'has a modulus whose factors are too close together';
  return undefined;
}

function oddPrimesUpTo(limit: number): number[] {
  const primes: number[] = [];
  for (let n = 3; n <= limit; n += 2) if (!primes.some((prime) => n % prime === 0)) primes.push(n);
  return primes;
}

/** As far as the CA/Browser Forum's practice goes (boulder goodkey): 3 to 751. */
const SMALL_PRIMES = oddPrimesUpTo(751);
const PRIMORIAL = SMALL_PRIMES.reduce((product, prime) => product * BigInt(prime), 1n);

/** Primes of the ROCA fingerprint with the residues that powers of 65537 take modulo each (Nemec et al., "The Return of Coppersmith's Attack", §3). */
const ROCA_RESIDUES: readonly (readonly [bigint, ReadonlySet<bigint>])[] = oddPrimesUpTo(167).map((prime) => {
  const residues = new Set<bigint>();
  for (let power = 1; !residues.has(BigInt(power)); power = (power * 65537) % prime) residues.add(BigInt(power));
  return [BigInt(prime), residues] as const;
});

const isRocaFingerprint = (residue: bigint): boolean => ROCA_RESIDUES.every(([prime, residues]) => residues.has(residue % prime));

/** Rounds of Fermat's method; primes made apart from each other never fall to even 2^100. */
const FERMAT_ROUNDS = 100;

/** Whether Fermat's method factors the modulus in a few rounds (CVE-2022-26320): n = a² - b² for an `a` just above its root. */
function hasCloseFactors(modulus: bigint): boolean {
  let a = squareRoot(modulus);
  if (a * a < modulus) a += 1n;
  let rest = a * a - modulus;
  for (let round = 0; round < FERMAT_ROUNDS; round++) {
    if (isSquare(rest)) return true;
    rest += 2n * a + 1n;
    a += 1n;
  }
  return false;
}

const SQUARES_MOD_256 = new Set(Array.from({ length: 256 }, (_, i) => (i * i) % 256));
/** 3·5·7·11·13·17·19 fits well into a number. */
const FILTER_PRIMES: readonly [number, ReadonlySet<number>][] = [3, 5, 7, 11, 13, 17, 19].map((prime) => [
  prime,
  new Set(Array.from({ length: prime }, (_, i) => (i * i) % prime)),
]);
const FILTER_MODULUS = 4_849_845n;

function isSquare(n: bigint): boolean {
  if (!SQUARES_MOD_256.has(Number(BigInt.asUintN(8, n)))) return false;
  const residue = Number(n % FILTER_MODULUS);
  if (FILTER_PRIMES.some(([prime, squares]) => !squares.has(residue % prime))) return false;
  const root = squareRoot(n);
  return root * root === n;
}

/** Largest integer whose square is not above `n`, by Newton's method from above. */
function squareRoot(n: bigint): bigint {
  if (n < 2n) return n;
  let x = 1n << BigInt(Math.ceil(n.toString(16).length * 2));
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}
