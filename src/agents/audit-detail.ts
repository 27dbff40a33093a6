import type { AgentRecord } from '../db/agents.ts';

/** Fields of a registration that an audit event may show: nothing that names a person. */
type Recorded = Partial<Pick<AgentRecord, 'name' | 'riskClass' | 'environment' | 'profile' | 'labels' | 'dnsNames' | 'ttlCapSeconds'>>;

/** These fields as detail of an audit event. */
export function recordable({ name, riskClass, environment, profile, labels, dnsNames, ttlCapSeconds }: Recorded) {
  return { name, riskClass, environment, profile, labels, dnsNames, ttlCapSeconds };
}

/** What people are called or have typed, to rest beside the event (DESIGN invariant 10). An address that was taken away is an empty text. */
export function personalOf({ ownerEmail, deputyEmail, purpose }: Personal) {
  return { ownerEmail: ownerEmail === null ? '' : ownerEmail, deputyEmail: deputyEmail === null ? '' : deputyEmail, purpose };
}

interface Personal {
  ownerEmail?: string | null | undefined;
  deputyEmail?: string | null | undefined;
  purpose?: string | undefined;
}
