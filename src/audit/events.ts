/**
 * The closed union of audit events. Every state change writes one in its own transaction (DESIGN invariant 10).
 * `detail` holds nothing personal: personal fields go to `personal` and rest beside the event (audit/append.ts).
 */

/** Who acted. `id`: API token id, agent id, join token id, relying party id (with its certificate), job name, or the name of a local command. */
export interface Actor {
  kind: 'admin' | 'agent' | 'join-token' | 'relying-party' | 'job' | 'command' | 'system';
  id: string;
}

/** Where a request came from: what every event of it carries. */
export interface Origin {
  actor: Actor;
  requestId: string | null;
  /** Source address of the connection, or null for jobs and local commands. */
  source: string | null;
}

export type AuditKind =
  | 'authority.created' | 'authority.prepared' | 'authority.activated' | 'authority.retired' | 'authority.cross-signed' | 'authority.responder-renewed' | 'authority.tls-renewed' | 'authority.feed-key-renewed'
  | 'admin-token.created' | 'admin-token.rotated' | 'admin-token.revoked'
  | 'relying-party.registered' | 'relying-party.changed' | 'relying-party.disabled' | 'relying-party.enabled' | 'relying-party.certificate-added' | 'relying-party.certificate-removed'
  | 'enforcement-point.registered' | 'enforcement-point.left'
  | 'agent.registered' | 'agent.changed' | 'agent.activated' | 'agent.suspended' | 'agent.resumed' | 'agent.retired'
  | 'instance.quarantined' | 'instance.released' | 'instance.revoked'
  | 'join-token.created' | 'join-token.cleared' | 'join-token.voided'
  | 'certificate.issued' | 'certificate.renewed' | 'certificate.revoked' | 'certificate.held' | 'certificate.released' | 'certificate.displaced'
  | 'finding.raised' | 'finding.resolved'
  | 'kill.started' | 'kill.finished' | 'kill.resumed' | 'owner.suspended' | 'owner.resumed' | 'issuance.stopped' | 'issuance.resumed' | 'renewals.steered'
  | 'crl.published'
  | 'request.denied'
  | 'audit.purged'
  | 'partition.created' | 'partition.dropped' | 'records.cleared'
  | 'backup.made' | 'world.restored' | 'world.set-back' | 'world.recovered' | 'world.moved';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

export interface AuditEvent {
  kind: AuditKind;
  outcome: 'success' | 'failure';
  agentId?: string;
  instanceId?: string;
  /** Serial of the certificate, 20 octets. */
  serial?: Uint8Array;
  /** Id of whatever else was acted on: token id, authority id, job name, CRL "<issuer>/<shard>". */
  target?: string;
  /** Id of the issuer (authority) whose key was used. */
  authority?: string;
  detail?: Record<string, JsonValue>;
  /** Personal fields (e-mail addresses, names of people), stored beside the event with only a salted hash in it. */
  personal?: Record<string, string>;
}
