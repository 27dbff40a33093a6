import { bytes, type Tx } from './client.ts';
import { findingView, type FindingView } from './views/findings.ts';

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

/** Closes one finding; `resolved` is false when it was closed before. Undefined when there is none. */
export async function resolveOneFinding(tx: Tx, id: string, now: Date): Promise<{ finding: FindingView; resolved: boolean } | undefined> {
  const { count } = await tx.finding.updateMany({ where: { id, resolvedAt: null }, data: { resolvedAt: now } });
  const row = await tx.finding.findUnique({ where: { id } });
  return row ? { finding: findingView(row), resolved: count === 1 } : undefined;
}
