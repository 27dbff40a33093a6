/** Reading the canonical bytes of audit events, as whoever checks the log must: what every version of them has in common. */
import { z } from 'zod';
import { LogError } from './log-error.ts';

const text = z.string().max(1_024);
const event = z.looseObject({
  v: z.int().min(1),
  id: text,
  kind: text,
  outcome: z.enum(['success', 'failure']),
  at: z.iso.datetime(),
  actor: z.looseObject({ kind: text, id: text }),
  onBehalfOf: z.looseObject({ kind: text, id: text }).optional(),
  credential: z.looseObject({ kind: text }).optional(),
  agent: text.optional(),
  instance: text.optional(),
  serial: text.optional(),
  fingerprint: text.optional(),
  target: text.optional(),
  authority: text.optional(),
  detail: z.record(z.string(), z.unknown()).optional(),
  requestId: text.optional(),
  /** Salted hashes. */
  personal: z.record(z.string(), z.string()).optional(),
});

/** An event as its bytes tell it. Members that this Signet does not know are there all the same. */
export type LoggedAuditEvent = z.output<typeof event>;

/** Versions of the bytes that are understood here. */
const VERSIONS: readonly number[] = [1, 2];

/** @throws LogError `malformed-event` */
export function readEvent(bytes: Uint8Array): LoggedAuditEvent {
  const read = event.safeParse(parse(bytes));
  if (!read.success) throw new LogError('malformed-event', 'the entry is not an audit event');
  if (!VERSIONS.includes(read.data.v)) throw new LogError('malformed-event', `the event is of version ${read.data.v}, which is not known here`);
  return read.data;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** SHA-256 of the certificate that an event is about, hexadecimal: a member of its own since version 2, before that in the detail. */
export function fingerprintOf({ v, fingerprint, detail }: LoggedAuditEvent): string | undefined {
  const said = v === 1 ? detail?.['certificateSha256'] : fingerprint;
  return typeof said === 'string' ? said : undefined;
}

/** Events that hand out a certificate. */
export const ISSUANCE_KINDS: readonly string[] = ['certificate.issued', 'certificate.renewed'];

/** By what an actor acted. `service`: Signet itself, as it is configured. `none`: by nothing that was accepted. */
export interface ActedBy {
  kind: 'api-token' | 'join-token' | 'certificate' | 'pinned-certificate' | 'database-owner' | 'service' | 'none';
  /** Id of the token, serial or fingerprint of the certificate. */
  id?: string;
  /** Role of the token. */
  role?: string;
}

const CREDENTIALS: readonly string[] = ['api-token', 'join-token', 'certificate', 'pinned-certificate', 'database-owner'];

/** By what the actor of an event acted, as its bytes tell it. Version 1 names only the actor: its id is that of its token; an agent that renewed had shown what it superseded. */
export function actedBy({ v, kind, actor, credential, detail }: LoggedAuditEvent): ActedBy {
  const given = (...values: unknown[]): string | undefined => values.find((value) => typeof value === 'string');
  const told = (by: ActedBy['kind'], id: string | undefined, role?: string): ActedBy => ({ kind: by, ...(id === undefined ? {} : { id }), ...(role === undefined ? {} : { role }) });
  if (credential) {
    if (!CREDENTIALS.includes(credential.kind)) return { kind: 'none' };
    return told(credential.kind as ActedBy['kind'], given(credential['id'], credential['serial'], credential['fingerprint']), given(credential['role']));
  }
  if (v > 1) return { kind: actor.kind === 'job' || actor.kind === 'system' ? 'service' : 'none' };
  switch (actor.kind) {
    case 'admin':
      return told('api-token', actor.id);
    case 'join-token':
      return told('join-token', actor.id);
    case 'agent':
      return told('certificate', kind === 'certificate.renewed' ? given(detail?.['supersedes']) : undefined);
    case 'relying-party':
      return { kind: 'pinned-certificate' };
    case 'command':
      return { kind: 'database-owner' };
    default:
      return { kind: 'service' };
  }
}
