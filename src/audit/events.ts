/**
 * The closed union of audit events. Every state change writes one in its own transaction (DESIGN invariant 10). Each kind states what it carries (audit/kinds.ts):
 * a member that is missing, or is not of its kind, does not compile.
 */
import type { AUDIT_KINDS } from '../api/audit-kinds.ts';
import type { AuditKinds, Carried } from './kinds.ts';
export type { JsonValue } from './canonical-json.ts';
export type { PersonalField } from './kinds.ts';

/** Who acted. `id`: API token id, agent id, join token id, relying party id (with its certificate), job name, or the name of a local command. */
export interface Actor {
  kind: 'admin' | 'agent' | 'join-token' | 'relying-party' | 'job' | 'command' | 'system';
  id: string;
}

/** For whom somebody acts: a relying party whose token it is; whoever began what a job or another replica finishes. */
export type Principal = Actor;

/** What an actor showed, and acts by: with it, what it was allowed to do can be looked up. */
export type Credential =
  | { kind: 'api-token'; id: string; role: string }
  | { kind: 'join-token'; id: string }
  /** Of an agent: `serial`, hexadecimal. Of a relying party: `fingerprint`, the hexadecimal SHA-256 of the pinned certificate. */
  | { kind: 'certificate'; serial: string }
  | { kind: 'pinned-certificate'; fingerprint: string }
  /** A local command: the database as its owner, and where private keys are needed the key-encryption key. */
  | { kind: 'database-owner' };

/** Where a request came from: what every event of it carries. */
export interface Origin {
  actor: Actor;
  /** Absent when the actor acts for itself. */
  onBehalfOf?: Principal | undefined;
  /** Absent when Signet does of itself what its configuration says (jobs, the first start), and for a credential that was refused. */
  credential?: Credential | undefined;
  requestId: string | null;
  /** Trace id of the request (W3C Trace Context §3.2.2.3), 32 hexadecimal digits. */
  traceId?: string | undefined;
  /** Source address of the connection, or null for jobs and local commands. */
  source: string | null;
}

/** Members of `Members`, and no other that an event may carry. */
type Exactly<Members> = Members & { readonly [Other in Exclude<keyof Carried, keyof Members>]?: never };

/** An event of one of the kinds `K`. */
export type AuditEventOf<K extends AuditKind> = { [Kind in K]: { kind: Kind } & Exactly<AuditKinds[Kind]> }[K];

/** What became of a certificate: kind and detail, to be put to each certificate that it became of. */
export type StatusChange = { [K in 'certificate.revoked' | 'certificate.held' | 'certificate.released']: Pick<AuditEventOf<K>, 'kind' | 'detail'> }[`certificate.${'revoked' | 'held' | 'released'}`];

/** The kinds of the wire contract. One that does not say what it carries does not compile; one that is not listed there cannot be appended. */
export type AuditKind = (typeof AUDIT_KINDS)[number];
export type AuditEvent = AuditEventOf<AuditKind>;
