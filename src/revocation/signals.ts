/** A certificate whose status changed, with what is needed to find its list. */
export interface ChangedCertificate {
  serial: Buffer;
  issuerId: string;
  shard: number;
}

/**
 * Tells the parts of this process that answer for status (OCSP cache, CRL publisher) what changed: called with committed changes only,
 * by the use case that made them before it answers, and again by the feed follower. Listeners are synchronous and idempotent.
 */
export interface RevocationSignals {
  changed(certificates: readonly ChangedCertificate[]): void;
  subscribe(listener: (certificates: readonly ChangedCertificate[]) => void): void;
}

export function createRevocationSignals(): RevocationSignals {
  const listeners: ((certificates: readonly ChangedCertificate[]) => void)[] = [];
  return {
    changed(certificates) {
      if (certificates.length > 0) for (const listener of listeners) listener(certificates);
    },
    subscribe(listener) {
      listeners.push(listener);
    },
  };
}
