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
