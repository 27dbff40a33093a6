const MS_PER_DAY = 86_400_000;

/** Life of a certificate as far as renewing it goes. */
interface Lifetime {
  createdAt: Date;
  notAfter: Date;
}

/** True when half of the life has passed, counted from its making (DESIGN invariant 15), or less than `reserveMs` is left. */
export function isHalfSpent(certificate: Lifetime, now: Date, reserveMs = 0): boolean {
  const left = certificate.notAfter.getTime() - now.getTime();
  const life = certificate.notAfter.getTime() - certificate.createdAt.getTime();
  return left <= Math.max(life / 2, reserveMs);
}

/** True when a certificate made now for `validityDays` under a signer that ends at `signerEnd` would outlast the one there is. */
export function wouldOutlast(certificate: Lifetime, validityDays: number, signerEnd: Date, now: Date): boolean {
  // notAfter carries whole seconds.
  const end = Math.min(now.getTime() + validityDays * MS_PER_DAY, signerEnd.getTime());
  return end - certificate.notAfter.getTime() > 1_000;
}
