import { LEAF_REASONS } from '../api/values.ts';
import { SignetError } from '../core/errors.ts';

/** CRLReason (RFC 5280 §5.3.1). 7 is unused; 8 belongs to delta CRLs only. */
export const REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;

export type ReasonName = keyof typeof REASONS;

const NAMES = new Map<number, ReasonName>(Object.entries(REASONS).map(([name, code]) => [code, name as ReasonName]));

/** The code of a reason allowed for a leaf. @throws SignetError `reason-not-allowed` */
export function leafReason(name: string): number {
  const allowed: readonly ReasonName[] = LEAF_REASONS;
  if (!allowed.includes(name as ReasonName)) throw new SignetError('reason-not-allowed', `reason must be one of ${LEAF_REASONS.join(', ')}; to hold a certificate use its hold operation`);
  return REASONS[name as ReasonName];
}

export const reasonName = (code: number): ReasonName => NAMES.get(code) ?? 'unspecified';
