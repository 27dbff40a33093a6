/** What asks a replica to drain and end. SIGHUP: a closed terminal; without it the embedded database would stay behind. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
