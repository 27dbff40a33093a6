import type { JsonValue } from '../audit/events.ts';
import type { AgentRecord } from '../db/agents.ts';

/** Fields of a registration that an audit event may show: nothing that names a person. */
export type RecordedFields = Partial<Pick<AgentRecord, 'name' | 'purpose' | 'riskClass' | 'environment' | 'profile' | 'labels' | 'dnsNames' | 'ttlCapSeconds'>>;

/** These fields as detail of an audit event. */
export function recordable(fields: RecordedFields): Record<string, JsonValue> {
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, Exclude<(typeof entry)[1], undefined>] => entry[1] !== undefined));
}

/** E-mail addresses, to rest beside the event (DESIGN invariant 10). An address that was taken away is an empty text. */
export function personalOf(people: { ownerEmail?: string | null | undefined; deputyEmail?: string | null | undefined }): Record<string, string> {
  return Object.fromEntries(Object.entries(people).flatMap(([field, email]) => (email === undefined ? [] : [[field, email ?? '']])));
}
