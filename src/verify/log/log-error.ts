/** Why something about a log is not believed, or cannot be made. Closed: who calls tells the cases apart by the code, never by the text. */
export const LOG_FAULTS = [
  // it cannot be read
  'malformed-note', 'malformed-key', 'malformed-checkpoint', 'malformed-tile', 'malformed-entries', 'malformed-proof', 'malformed-event',
  // what is asked for cannot be
  'size-zero', 'size-beyond-tree', 'index-beyond-tree', 'sizes-reversed', 'number-too-large',
  // it can be read, and is not true
  'wrong-origin', 'unknown-log-key', 'bad-signature', 'too-few-witnesses', 'not-included', 'not-consistent', 'other-certificate', 'other-event', 'certificate-untrusted',
] as const;
export type LogFault = (typeof LOG_FAULTS)[number];

/** A fault of a log, its notes, its tiles or a proof. The detail is safe to show: it repeats no input at length. */
export class LogError extends Error {
  override readonly name = 'LogError';
  readonly fault: LogFault;

  constructor(fault: LogFault, detail: string) {
    super(detail);
    this.fault = fault;
  }
}
