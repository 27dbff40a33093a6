import { bytes, type Tx } from './client.ts';

export interface NewFinding {
  id: string;
  kind: 'successor-displaced' | 'copied-key';
  agentId: string;
  instanceId: string;
  serial: Uint8Array;
  createdAt: Date;
}

/** Stores an observation that a person should look at. */
export async function insertFinding(tx: Tx, finding: NewFinding): Promise<void> {
  await tx.finding.create({ data: { ...finding, serial: bytes(finding.serial) } });
}

/** Closes the open findings of an instance: an operator has looked and decided. */
export async function resolveFindings(tx: Tx, instanceId: string, now: Date): Promise<void> {
  await tx.finding.updateMany({ where: { instanceId, resolvedAt: null }, data: { resolvedAt: now } });
}
