/** What an event of each kind carries. Kinds are closed: add one at the end of its group, to AUDIT_KINDS (api/audit-kinds.ts) and to the table in docs/auditor.md. */

/** Everything that an event may carry besides its kind and outcome. */
export interface Carried {
  agentId: string;
  instanceId: string;
  /** Serial of the certificate, 20 octets. */
  serial: Uint8Array;
  /** SHA-256 of the certificate's DER. */
  fingerprint: Uint8Array;
  /** Id of whatever else was acted on: token id, authority id, job name, CRL "<issuer>/<shard>". */
  target: string;
  /** Id of the issuer (authority) whose key was used. */
  authority: string;
  /** Nothing personal: what people type, and how they are called, is `personal`. */
  detail: object;
  /** Personal fields (e-mail addresses, names of people, what people gave as a reason), stored beside the event with only a salted hash in it. */
  personal: { readonly [Field in PersonalField]?: string | undefined };
}

/** Personal fields: a closed list, so that one is found when a person is to be erased. */
export type PersonalField = 'ownerEmail' | 'deputyEmail' | 'purpose' | 'reason' | 'note' | 'operator';

interface Success { outcome: 'success' }
type Ended = { outcome: 'success' | 'failure' };
interface Failure { outcome: 'failure' }

type OfAgent = Pick<Carried, 'agentId'>;
type OfInstance = Pick<Carried, 'agentId' | 'instanceId'>;
type OfCertificate = Pick<Carried, 'agentId' | 'instanceId' | 'serial'>;
type OfTarget = Pick<Carried, 'target'>;
/** Free text of a person. */
type Why = Personal<'reason'>;
type Detail<Members> = { detail: Members };
type Personal<Fields extends PersonalField> = { personal?: Maybe<Record<Fields, string>> };
/** Members may be undefined: then they are left out of the bytes. */
type Maybe<Members> = { readonly [Name in keyof Members]?: Members[Name] | undefined };

/** RFC 3339, UTC. */
type Time = string;
/** A decimal number. */
type Decimal = string;
/** A cause that came to others, or went from among them: the state is as it was. */
interface Unflipped { status?: 'held by other causes' | 'suspended by other causes' | 'stopped by other causes' | 'as before, with one cause more' }

type Registration = Maybe<{
  name: string;
  riskClass: string;
  environment: string;
  profile: string;
  labels: Readonly<Record<string, string>>;
  dnsNames: readonly string[];
  ttlCapSeconds: number | null;
}>;

/** A certificate of the authority. */
interface OfAuthority extends Success, Pick<Carried, 'serial' | 'fingerprint' | 'target' | 'authority'> {
  detail: { kind: string; subject: string; notAfter: Time };
}

/** A leaf, with nothing personal in it: this event is shown to whoever checks that the certificate was logged. */
interface Issued extends Success, OfCertificate, Pick<Carried, 'fingerprint' | 'authority'>, Partial<OfTarget> {
  detail: { profile: string; generation: number; notAfter: Time; supersedes?: string };
}

/** A status that changed: of a leaf, of a certificate of the authority (`target`), or of one that was carried over from a lost window (`authority`). */
interface StatusChanged<Members> extends Success, Partial<OfInstance>, Pick<Carried, 'serial'>, Partial<Pick<Carried, 'target' | 'authority'>> {
  detail: Members & Unflipped & { evidence?: string; certificate?: 'unknown to this database' };
}

type RelyingParty = Success & OfTarget;
type PinnedCertificate = RelyingParty & Pick<Carried, 'fingerprint'>;
type TokenNames = { name: string; role: string; relyingParty?: string };
type Selected = { selector: string; selected: string };

export interface AuditKinds {
  'authority.created': OfAuthority;
  'authority.prepared': OfAuthority;
  'authority.activated': Success & OfTarget & Pick<Carried, 'serial'> & Detail<{ kind: string; replaces: string | null }>;
  'authority.retired': Success & OfTarget & Pick<Carried, 'serial'> & Detail<{ kind: string; notAfter: Time }>;
  'authority.cross-signed': OfAuthority;
  'authority.responder-renewed': OfAuthority;
  'authority.tls-renewed': OfAuthority;
  'authority.feed-key-renewed': OfAuthority;
  /** Keys and certificates are going to be made: some of it is in a key store, outside of any transaction. `target` ties the end to it. */
  'authority.change-begun': Success & OfTarget & Detail<{ change: string }>;
  'authority.change-ended': Ended & OfTarget & Detail<{ change: string; changed?: boolean; code?: string }>;

  'admin-token.created': Success & OfTarget & Detail<TokenNames & { expiresAt: Time; scopes?: readonly string[] }>;
  'admin-token.rotated': Success & OfTarget & Detail<TokenNames & { successor: string; endsAt: Time; expiresAt: Time }>;
  'admin-token.revoked': Success & OfTarget & Detail<Partial<TokenNames> & { replacedBy?: string }>;

  'relying-party.registered': RelyingParty & Detail<{ name: string; mayAsk: readonly string[] }> & { personal: { ownerEmail: string } };
  'relying-party.changed': RelyingParty & Detail<{ version: number; name?: string; mayAsk?: readonly string[] }> & Personal<'ownerEmail'>;
  'relying-party.disabled': RelyingParty & Why;
  'relying-party.enabled': RelyingParty & Why;
  'relying-party.certificate-added': PinnedCertificate & Detail<{ certificate: string; notAfter: Time }>;
  'relying-party.certificate-removed': PinnedCertificate & Detail<{ certificate: string }>;

  'enforcement-point.registered': Success & OfTarget & Detail<{ name: string; relyingParty: string; replaces?: string }>;
  'enforcement-point.left': Success & OfTarget & Detail<{ relyingParty: string }>;

  'agent.registered': Success & OfAgent & Detail<Registration & { state: string }> & Personal<'ownerEmail' | 'deputyEmail' | 'purpose'>;
  'agent.changed': Success & OfAgent & Detail<Registration & { version: number }> & Personal<'ownerEmail' | 'deputyEmail' | 'purpose'>;
  'agent.activated': Success & OfAgent & Why;
  'agent.suspended': Success & OfAgent & OfTarget & Why & { detail?: Unflipped & { held?: number } };
  'agent.resumed': Success & OfAgent & OfTarget & Why & { detail?: Unflipped & { released?: number } };
  'agent.retired': Success & OfAgent & Partial<OfTarget> & { detail?: Unflipped & { reason?: string; revoked?: number } } & Personal<'note'>;

  'instance.quarantined': Success & OfInstance & OfTarget & Why & { detail?: Unflipped & { held?: number; cause?: 'copied-key' } };
  'instance.released': Success & OfInstance & OfTarget & Why & { detail?: Unflipped & { released?: number } };
  'instance.revoked': Success & OfInstance & Partial<OfTarget> & { detail?: Unflipped & { reason?: string; revoked?: number } };

  'join-token.created': Success & OfAgent & OfTarget & Detail<{ expiresAt: Time; sourceCidrs: readonly string[]; boundKeyHash?: string }>;
  'join-token.cleared': Success & OfTarget & Detail<{ rows: number }>;
  'join-token.voided': Success & OfAgent & OfTarget;

  'certificate.issued': Issued;
  'certificate.renewed': Issued;
  'certificate.revoked': StatusChanged<{ reason: string }>;
  'certificate.held': StatusChanged<{ cause?: string; reason?: string }>;
  'certificate.released': StatusChanged<{ cause?: string; reason?: string }>;
  'certificate.displaced': Success & OfCertificate;

  'finding.raised': Success & OfCertificate & OfTarget & Detail<{ finding: string }>;
  'finding.resolved': Success & Partial<OfCertificate> & OfTarget & Detail<{ finding: string }> & Why;

  'kill.started': Success & OfTarget & Detail<Selected & { effect: string; owners: number; agents: number; instances: number; renewWithinSeconds?: number }> & { personal: { reason: string } };
  'kill.finished': Success & OfTarget & Detail<{ of: string; released?: number; certificates?: number }>;
  'kill.resumed': Success & OfTarget & Detail<Selected & { effect: string }> & Why;
  'owner.suspended': Success & OfTarget & Detail<Unflipped & { owner: string }>;
  'owner.resumed': Success & OfTarget & Detail<Unflipped & { owner: string }>;
  'issuance.stopped': Success & OfTarget & Detail<{ stop: string }>;
  'issuance.resumed': Success & OfTarget & Detail<Unflipped & { stop: string }>;
  'renewals.steered': Success & OfTarget & Detail<Selected & { withinSeconds: number; certificates: number }> & { personal: { reason: string } };

  'crl.published': Success & OfTarget & Pick<Carried, 'authority'> & Detail<{ number: Decimal; entries: number; thisUpdate: Time; nextUpdate: Time; feedN: Decimal; latestEnd: Time }>;

  'request.denied': Failure & OfTarget & Partial<OfInstance> & Partial<Pick<Carried, 'fingerprint'>> & Detail<{ code: string; suppressed?: number }>;

  'audit.purged': Success & OfTarget & Detail<{ first: Decimal; last: Decimal; before: Time; personalFields: number }> & { personal: { operator: string } };
  'person.erased': Success & OfTarget & Detail<{ personalFields: number; owners: number; texts: number }> & { personal: { operator: string } };

  /** The Merkle log over these events: one begins, where the one before ended as far as is known, and each ends. */
  'log.started': Success & OfTarget & Detail<{ origin: string; key: string; after?: { origin: string; size?: number; root?: string } }>;
  'log.stopped': Failure & OfTarget & Detail<{ origin: string; cause: string }>;
  'log.ended': Success & OfTarget & Detail<{ origin: string; by: 'recovery' | 'operator' }> & Why;

  'partition.created': Success & OfTarget;
  'partition.dropped': Success & OfTarget;
  /** It is going to be detached; `partition.dropped` follows, from this run or, when that dies, the next. */
  'partition.drop-begun': Success & OfTarget;
  'records.cleared': Success & OfTarget & Detail<{ rows: number }>;

  /** `target` ties the end to the beginning. */
  'backup.begun': Success & OfTarget;
  'backup.made': Success & OfTarget & Detail<{ sha256: string; feedN: Decimal; auditN: Decimal }>;
  'backup.failed': Failure & OfTarget;
  'world.restored': Success & Detail<{ backup: string; madeAt: Time; auditN: Decimal; feedN: Decimal }>;
  'world.set-back': Failure & Detail<{ says: string }>;
  'world.recovered': Success & OfTarget & Detail<{ epoch: number; lostFrom: Time; lostTo: Time; lastEvidence: Time | null; joinTokensVoided: number; revoked: number; held: number; carried: number }>;
  'world.moved': Success & Detail<{ says: string }>;
}
