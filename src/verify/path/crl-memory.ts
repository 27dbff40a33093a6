/** What lists were seen, so that an older one, still within its dates, is not taken for the newest (RFC 5280 §5.2.3: numbers only rise). */
import type { ForeignCrl } from '../../x509/foreign/crl.ts';
import { reason, type PathReason } from './reasons.ts';

/** Kept by a relying party from question to question; whoever wants it to survive a restart stores `entries`. */
export interface CrlMemory {
  /** Why a list that verified is older than one seen before; else it is remembered. */
  fault(list: ForeignCrl): PathReason | undefined;
  entries(): CrlSeen[];
}

export interface CrlSeen {
  /** Issuer, key and scope of the list. */
  key: string;
  number: bigint;
  /** Milliseconds since 1970. */
  thisUpdateMs: number;
}

/** Lists that are remembered: issuers times shards. A relying party with more is told of it by lists that are refused. */
const MAX_SEEN = 65_536;

export function createCrlMemory(seen: readonly CrlSeen[] = []): CrlMemory {
  const newest = new Map(seen.map((one) => [one.key, one]));
  return {
    fault(list) {
      const key = keyOf(list);
      const before = newest.get(key);
      const number = list.number ?? 0n;
      const thisUpdateMs = list.thisUpdate.getTime();
      if (before && (number < before.number || thisUpdateMs < before.thisUpdateMs)) {
        return reason('crl-rollback', `a list with number ${number} of ${list.thisUpdate.toISOString()} is older than number ${before.number} of ${new Date(before.thisUpdateMs).toISOString()}, which was seen before`);
      }
      if (!before && newest.size >= MAX_SEEN) return reason('too-many-certificates', `more than ${MAX_SEEN} different lists were seen`);
      newest.set(key, { key, number, thisUpdateMs });
      return undefined;
    },
    entries: () => [...newest.values()],
  };
}

/** Numbers rise by issuer and scope; a CA with two keys may count for each (§5.2.3). */
const keyOf = ({ issuer, authorityKeyIdentifier, issuingPoint, baseNumber }: ForeignCrl): string =>
  JSON.stringify([issuer.key, authorityKeyIdentifier?.toString('hex'), issuingPoint ? { ...issuingPoint } : null, baseNumber !== undefined]);
