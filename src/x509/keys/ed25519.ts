/**
 * Encodings of y for the points of small order, canonical or not, little-endian without the sign bit. A signature that verifies under such a
 * key can be made by anyone, so it would prove nothing (Chalkias et al., "Taming the many EdDSAs", table 1).
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000', // order 4
  '0100000000000000000000000000000000000000000000000000000000000000', // order 1
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', // order 8
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', // order 8
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // p - 1: order 2
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // p, which is 0
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // p + 1, which is 1
]);

/** Whether a 32-octet Ed25519 public key is a point whose order divides 8, whatever its sign bit. */
export function isSmallOrderPoint(key: Buffer): boolean {
  const last = ((key[31] ?? 0) & 0x7f).toString(16).padStart(2, '0');
  return SMALL_ORDER.has(key.toString('hex', 0, 31) + last);
}
