/** Cheap tests for RSA moduli that are known to be factorable (as goodkey in other CAs): small factors, close factors, ROCA. */

const SMALL_PRIMES = primesBelow(752);
const PRODUCT = SMALL_PRIMES.reduce((product, prime) => product * BigInt(prime), 1n);
/** Rounds of Fermat's method: factors that close come from broken generators (CVE-2022-26320). */
const FERMAT_ROUNDS = 100;

function primesBelow(limit: number): number[] {
  const primes: number[] = [];
  for (let n = 2; n < limit; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
}

/** Has a prime factor below 752, or two factors so close that Fermat's method finds them. */
export function isWeakModulus(n: bigint): boolean {
  return gcd(n, PRODUCT) !== 1n || hasCloseFactors(n);
}

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

function hasCloseFactors(n: bigint): boolean {
  let a = sqrt(n);
  if (a * a < n) a += 1n;
  for (let round = 0; round < FERMAT_ROUNDS; round++, a += 1n) {
    const b2 = a * a - n;
    const b = sqrt(b2);
    if (b * b === b2) return true;
  }
  return false;
}

/** Integer square root, rounded down (Newton). */
function sqrt(n: bigint): bigint {
  if (n < 2n) return n;
  let x = 1n << BigInt((n.toString(16).length * 4) / 2 + 1);
  for (;;) {
    const y = (x + n / x) >> 1n;
    if (y >= x) return x;
    x = y;
  }
}

/** Primes and, for each, the residues that powers of 65537 take: a modulus whose residues all are such powers came from the broken generator. */
const ROCA_RESIDUES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157].map((prime) => {
  const residues = new Set<number>();
  for (let power = 1, i = 0; i < prime; i++, power = (power * (65_537 % prime)) % prime) residues.add(power);
  return { prime: BigInt(prime), residues };
});

/** Nemec et al., "The Return of Coppersmith's Attack" (2017), fingerprint test. */
export function isRocaModulus(n: bigint): boolean {
  return ROCA_RESIDUES.every(({ prime, residues }) => residues.has(Number(n % prime)));
}
