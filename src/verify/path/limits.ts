/** Bounds of one question, whatever is offered (DESIGN invariant 12). */
export const PATH_LIMITS = {
  /** CAs between leaf and anchor, self-issued ones not counted. */
  depth: 16,
  /** Certificates in a path. */
  certificates: 32,
  /** Issuers looked at. */
  steps: 4_096,
  /** Signatures checked, those of lists and answers included: some 10 ms of P-256. */
  signatures: 192,
  /** Whole paths judged. */
  paths: 64,
  /** Issuers of one name. */
  sameName: 256,
  /** Comparisons of a name with a constraint. */
  comparisons: 250_000,
  /** Certificates in a store. */
  stored: 10_000,
  /** Lists or OCSP answers. */
  evidence: 1_024,
  /** Reasons in an answer. */
  reasons: 16,
} as const;
