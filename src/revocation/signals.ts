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
  /** This process has committed events of the feed: whoever follows it need not wait for the database to say so. */
  committed(): void;
  onCommitted(listener: () => void): void;
}

export function createRevocationSignals(): RevocationSignals {
  const listeners: ((certificates: readonly ChangedCertificate[]) => void)[] = [];
  const followers: (() => void)[] = [];
  return {
    changed(certificates) {
      if (certificates.length > 0) for (const listener of listeners) listener(certificates);
    },
    subscribe(listener) {
      listeners.push(listener);
    },
    committed() {
      for (const follower of followers) follower();
    },
    onCommitted(listener) {
      followers.push(listener);
    },
  };
}
