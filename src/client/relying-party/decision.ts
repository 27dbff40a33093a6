import type { NotGood } from '../feed/view.ts';

/** Who is at the other end, as far as it is known. */
export interface Peer {
  /** The one SPIFFE ID of the certificate. Of a server that was expected by its host name: undefined. */
  spiffeId: string | undefined;
  agentId: string | undefined;
  /** From the SPIFFE ID where the profile puts it there, else as the service says. */
  instanceId: string | undefined;
  /** Id of the accountable person, as the service says. */
  ownerId: string | undefined;
  /** Name of the profile, as the service says. */
  profile: string | undefined;
  /** What of these is not known, and why: `not-asked`, or what went wrong. Empty: all is known. */
  unknown: Partial<Record<'instanceId' | 'ownerId' | 'profile', string>>;
  /** 40 hexadecimal digits, or as many as the serial has octets. */
  serial: string;
  /** SHA-256 of the certificate, hexadecimal. */
  fingerprint: string;
  notAfter: Date;
}

/** By what a status is known. */
export type StatusSource =
  | 'feed' // the live feed, its heartbeat not older than its limit
  | 'ocsp'
  | 'crl'
  | 'no-revocation' // noRevAvail (RFC 9608): it lives too short to be revoked
  | 'assumed'; // nobody could be asked, and the mode is `open`

/** Stable codes of refusals: `code` of the problem document. */
export const REFUSALS = {
  'certificate-required': { status: 401, title: 'A client certificate is required' },
  'certificate-malformed': { status: 401, title: 'The certificate cannot be read' },
  'certificate-untrusted': { status: 401, title: 'The certificate does not lead to a trusted root' },
  'certificate-not-yet-valid': { status: 401, title: 'The certificate is not valid yet' },
  'certificate-expired': { status: 401, title: 'The certificate has expired' },
  'identity-not-accepted': { status: 403, title: 'The identity in the certificate is not accepted here' },
  'certificate-unknown': { status: 403, title: 'The authority does not know the certificate' },
  'certificate-revoked': { status: 403, title: 'The certificate is revoked' },
  'certificate-held': { status: 403, title: 'The certificate is on hold' },
  'certificate-not-logged': { status: 403, title: 'The certificate is not in the log of issuances' },
  'agent-suspended': { status: 403, title: 'The agent is suspended' },
  'agent-retired': { status: 403, title: 'The agent is retired' },
  'instance-quarantined': { status: 403, title: 'The instance is quarantined' },
  'instance-revoked': { status: 403, title: 'The instance is revoked' },
  'owner-suspended': { status: 403, title: 'The owner is suspended' },
  'status-unknown': { status: 403, title: 'Whether the certificate is still good cannot be known now' },
} as const satisfies Record<string, { status: 401 | 403; title: string }>;
export type RefusalCode = keyof typeof REFUSALS;

export interface Allowed {
  allowed: true;
  peer: Peer;
  source: StatusSource;
  /** Age of what the decision stands on, milliseconds. */
  ageMs: number;
  detail: string;
  /** Whether its issuance was logged. `assumed`: nobody could say, and the mode is `open`. */
  logged: 'proven' | 'assumed' | 'not-asked';
}

export interface Refused {
  allowed: false;
  code: RefusalCode;
  /** What a server answers. */
  status: 401 | 403;
  detail: string;
  /** By what it is known; undefined where the certificate itself was reason enough. */
  source: StatusSource | undefined;
  ageMs: number | undefined;
  /** Undefined where the certificate could not be read, or leads to no trusted root: then nothing in it is true. */
  peer: Peer | undefined;
}

/** What is thought of a peer now. */
export type Decision = Allowed | Refused;

export function refuse(code: RefusalCode, detail: string, more: { source?: StatusSource; ageMs?: number; peer?: Peer | undefined } = {}): Refused {
  return { allowed: false, code, status: REFUSALS[code].status, detail, source: more.source, ageMs: more.ageMs, peer: more.peer };
}

/** The code for what a status says. */
export const codeOf = (why: NotGood | 'unknown'): RefusalCode => (why === 'revoked' || why === 'held' || why === 'unknown' ? `certificate-${why}` : why);

/** The problem document (RFC 9457) of a refusal. It tells the caller nothing of other agents, and nothing of how status was asked. */
export function problemOf({ code, status }: Refused): Buffer {
  return Buffer.from(JSON.stringify({ type: `urn:signet:relying-party:${code}`, title: REFUSALS[code].title, status, code }));
}

/** A peer that was refused: what a connection, or a request, fails with. */
export class PeerRefused extends Error {
  override readonly name = 'PeerRefused';
  readonly decision: Refused;
  constructor(decision: Refused) {
    super(`${decision.detail} [${decision.code}]`);
    this.decision = decision;
  }
}
