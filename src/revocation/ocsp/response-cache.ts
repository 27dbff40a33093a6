import type { OcspCertId } from '../../x509/ocsp-request.ts';
import { sequence } from '../../x509/der/writer.ts';
import { createRecentMap } from '../recent-map.ts';
import type { RevocationSignals } from '../signals.ts';
import { MAX_FEED_AGE_MS, SERIAL_BYTES } from '../status-reader.ts';

/** Of an answer, as it says them and as HTTP dates. */
export interface ResponseTimes {
  thisUpdate: Date;
  nextUpdate: Date;
  /** `thisUpdate`, `nextUpdate`. */
  lastModified: string;
  expires: string;
}

/** A signed answer. */
export interface CachedResponse {
  bytes: Buffer;
  /** There when the same bytes may answer someone else. */
  etag: string | undefined;
  statuses: ('good' | 'revoked' | 'unknown')[];
  /** Says only what can never change: revoked for ever. */
  permanent: boolean;
  /** Of the certificate asked about, and who signed for it. */
  issuerId: string;
  responderId: string;
  times: ResponseTimes;
}

/** A kept answer, which may be given now. */
export interface KeptResponse {
  /** The answer's octets, one for each character (latin1). */
  octets: string;
  said: Omit<CachedResponse, 'bytes'>;
}

export interface ResponseCache {
  /** An answer to exactly this CertID that may be given now. */
  find(id: OcspCertId, responderId: string, now: Date): KeptResponse | undefined;
  /**
   * The same for a whole request, recognised by its octets without being parsed: only what asks about one certificate and says nothing else is ever recognised. The caller sees to
   * it that the answer's responder is the one that speaks now.
   */
  recall(request: Buffer, now: Date): KeptResponse | undefined;
  keep(id: OcspCertId, response: CachedResponse): void;
}

/** Octets are kept as strings of as many characters: next to buffers of their own a fifth less memory, and 2 µs less for each answer kept (docs/performance.md). */
interface Entry extends KeptResponse {
  /** The shortest request that asks for it. */
  question: string;
}

/** CertIDs come with SHA-1 and SHA-256: both forms of a serial are kept, and go together. */
type Entries = Partial<Record<'sha1' | 'sha256', Entry>>;

export interface ResponseCacheNeeds {
  signals: RevocationSignals;
  feed: { positionAgeMs(): number };
  config: { ocspCacheEntries: number; ocspMaxAgeSeconds: number };
}

/** An OCSPRequest of one CertID and nothing else. */
const questionOf = (id: OcspCertId): string => sequence(sequence(sequence(sequence(id.raw)))).toString('latin1');

/** Signed answers by serial. A signalled change drops a serial at once; without a fresh feed only permanent answers are given (invariant 13). */
export function createResponseCache({ signals, feed, config }: ResponseCacheNeeds): ResponseCache {
  const known = createRecentMap<Entries>(config.ocspCacheEntries);
  signals.subscribe((changed) => {
    for (const { serial } of changed) known.delete(serial.toString('latin1'));
  });

  function mayBeGiven({ said }: Entry, now: Date): boolean {
    const { thisUpdate, nextUpdate } = said.times;
    const age = now.getTime() - thisUpdate.getTime();
    // Younger than max-age, so that no client sees one older than twice that; a clock that was set back proves nothing.
    if (age < 0 || age >= config.ocspMaxAgeSeconds * 1000 || nextUpdate <= now) return false;
    return said.permanent || feed.positionAgeMs() <= MAX_FEED_AGE_MS;
  }

  return {
    find(id, responderId, now) {
      const entry = id.hashAlgorithm && known.get(id.serial.toString('latin1'))?.[id.hashAlgorithm];
      return entry && entry.said.responderId === responderId && entry.question === questionOf(id) && mayBeGiven(entry, now) ? entry : undefined;
    },
    recall(request, now) {
      // A serial of ours ends its CertID, and that the shortest request.
      const entries = known.get(request.toString('latin1', request.length - SERIAL_BYTES));
      if (entries === undefined) return undefined;
      const question = request.toString('latin1');
      const entry = entries.sha1?.question === question ? entries.sha1 : entries.sha256?.question === question ? entries.sha256 : undefined;
      return entry && mayBeGiven(entry, now) ? entry : undefined;
    },
    keep(id, { bytes, ...said }) {
      if (!id.hashAlgorithm) return;
      const key = id.serial.toString('latin1');
      const entry = { question: questionOf(id), octets: bytes.toString('latin1'), said };
      known.set(key, { ...known.get(key), [id.hashAlgorithm]: entry });
    },
  };
}
