import { bytes, buffer, type Tx } from './client.ts';
import type { AffectedCertificate } from './certificate-status.ts';
import { bucketOfSerial } from '../x509/serial.ts';

/**
 * Revokes a successor nobody has presented and gives the instance its earlier tip back. Conditional on all of it still being so; undefined, with
 * nothing changed, when not. Locks instance, then the two certificates by serial.
 */
export async function displaceRow(
  tx: Tx,
  move: { instanceId: string; tip: Buffer; successor: Buffer; reason: number; now: Date },
): Promise<AffectedCertificate | undefined> {
  const { instanceId, tip, successor, reason, now } = move;
  const instance = await tx.$queryRaw<unknown[]>`
    SELECT 1 FROM instances WHERE id = ${instanceId} AND state = 'active' AND tip_serial = ${bytes(successor)} FOR UPDATE`;
  if (instance.length === 0) return undefined;
  for (const serial of [tip, successor].toSorted((a, b) => Buffer.compare(a, b))) {
    await tx.$queryRaw`SELECT 1 FROM certificates WHERE bucket = ${bucketOfSerial(serial)} AND serial = ${bytes(serial)} FOR UPDATE`;
  }
  const [row] = await tx.$queryRaw<{ issuer_id: string; shard: number; agent_id: string; key_hash: Uint8Array }[]>`
    UPDATE certificates SET revoked_at = ${now}, revocation_reason = ${reason}, displaced = true
    WHERE bucket = ${bucketOfSerial(successor)} AND serial = ${bytes(successor)} AND presented_at IS NULL AND revoked_at IS NULL AND held_at IS NULL
    RETURNING issuer_id, shard, agent_id, key_hash`;
  if (!row) return undefined;
  await tx.$executeRaw`
    UPDATE certificates SET superseded_by = NULL, superseded_at = NULL WHERE bucket = ${bucketOfSerial(tip)} AND serial = ${bytes(tip)}`;
  await tx.$executeRaw`UPDATE instances SET tip_serial = ${bytes(tip)}, updated_at = ${now} WHERE id = ${instanceId}`;
  await tx.publicKey.updateMany({ where: { keyHash: bytes(row.key_hash), blockedAt: null }, data: { blockedAt: now } });
  return { serial: buffer(successor), issuerId: row.issuer_id, shard: row.shard, agentId: row.agent_id, instanceId, reason };
}
