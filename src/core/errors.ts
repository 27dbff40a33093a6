/**
 * The one internal error class and its closed union of codes. What a code means on the wire (status, title, what to do next)
 * is api/error-codes.ts; what a person reads is docs/errors.md. An error that is not a SignetError becomes `internal` without detail.
 */
export const ERROR_CODES = [
  // the request itself
  'invalid-request', 'malformed-json', 'json-too-deep', 'body-too-large', 'unsupported-media-type', 'not-found', 'method-not-allowed',
  'headers-too-many', 'cursor-invalid', 'cursor-mismatch', 'idempotency-key-invalid', 'idempotency-key-reused', 'idempotency-in-progress',
  // who asks
  'authentication-required', 'invalid-credential', 'credential-expired', 'credential-revoked', 'permission-denied', 'last-admin-token', 'admin-token-not-found', 'admin-token-state-conflict',
  'client-certificate-required', 'client-certificate-untrusted', 'client-certificate-expired', 'client-certificate-revoked', 'client-certificate-held',
  'proxy-not-trusted', 'proxy-header-invalid',
  // relying parties
  'relying-party-not-found', 'relying-party-name-taken', 'relying-party-changed', 'relying-party-disabled', 'relying-party-full',
  'relying-party-certificate-taken', 'relying-party-certificate-refused',
  // the live feed
  'feed-cursor-ahead', 'feed-cursor-expired', 'feed-other-world', 'feed-full', 'feed-unavailable', 'revocation-not-found',
  'enforcement-point-not-found', 'enforcement-point-full', 'acknowledgement-not-sent',
  // certificate signing requests
  'csr-malformed', 'csr-too-large', 'csr-signature-invalid', 'csr-extension-unsupported', 'csr-attribute-duplicated', 'csr-ca-requested',
  'key-type-not-allowed', 'key-weak', 'key-in-use', 'key-not-fresh', 'key-blocked', 'names-not-granted', 'ttl-not-granted', 'profile-not-found',
  // join tokens
  'join-token-unknown', 'join-token-used', 'join-token-expired', 'join-token-wrong-agent', 'join-token-wrong-network', 'join-token-wrong-key',
  // agents and instances
  'agent-not-found', 'agent-name-taken', 'agent-not-active', 'agent-suspended', 'agent-retired', 'agent-state-conflict', 'agent-changed',
  'owner-required', 'owner-suspended', 'dns-name-reserved', 'instance-not-found', 'instance-quarantined', 'instance-revoked', 'instance-state-conflict', 'finding-not-found',
  // issuing, renewing, revoking
  'issuance-stopped', 'issuer-unavailable', 'certificate-superseded', 'certificate-not-found', 'serial-malformed', 'reason-not-allowed', 'hold-conflict',
  'authority-not-found', 'authority-state-conflict',
  // the kill switch
  'selector-invalid', 'kill-effect-not-allowed', 'kill-confirmation-required', 'kill-not-found', 'kill-state-conflict', 'covered-by-kill', 'owner-not-found',
  'certificate-expired',
  // the log
  'event-not-found', 'event-purged', 'event-not-logged', 'log-size-invalid', 'log-unavailable',
  // the service
  'internal', 'database-unavailable', 'storage-full', 'overloaded', 'rate-limited',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** One fault of one field of a request: `path` is a JSON pointer (RFC 6901). */
export interface FieldFault {
  path: string;
  message: string;
}

export interface SignetErrorOptions {
  /** Faults by field, for `invalid-request`. */
  fields?: FieldFault[];
  /** Seconds after which a retry makes sense (Retry-After). */
  retryAfterSeconds?: number;
  /** Names that would have been granted, for `names-not-granted`. */
  granted?: string[];
  cause?: unknown;
}

/** An error with a stable code and a detail that is safe to show to the caller. */
export class SignetError extends Error {
  override readonly name = 'SignetError';
  readonly code: ErrorCode;
  readonly fields: FieldFault[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly granted: string[] | undefined;

  constructor(code: ErrorCode, detail: string, options: SignetErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.granted = options.granted;
  }
}

/** sysexits: 78 config, 69 unavailable, 73 cannot create, 70 software. */
export type StartupExitCode = 69 | 70 | 73 | 78;

/** A fault that keeps the process from starting: printed whole, then the process ends with `exitCode`. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
  readonly exitCode: StartupExitCode;
  constructor(message: string, exitCode: StartupExitCode = 78, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}
