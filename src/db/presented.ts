import { createBatcher, type Batcher } from './batcher.ts';
import { buffer, runHot, type Db, type HotStatement } from './client.ts';
import { bucketOfSerial } from '../x509/serial.ts';

/** A certificate shown to us in a TLS handshake that proved its key. */
export interface Presentation {
  serial: Buffer;
  /** SHA-256 of the whole DER. */
  fingerprint: Buffer;
  at: Date;
}

/** What is stored of a presented certificate, its instance, agent and owner. */
export interface PresentedCertificate {
  serial: Buffer;
  agentId: string;
  agentName: string;
  agentState: string;
  agentProfile: string;
  /** Version of the registration as it was read. */
  agentVersion: number;
  dnsNames: string[];
  ttlCapSeconds: number | null;
  ownerId: string | null;
  ownerState: string | null;
  instanceId: string;
  instanceState: string;
  generation: number;
  tipSerial: Buffer;
  profile: string;
  issuerId: string;
  keyHash: Buffer;
  notAfter: Date;
  issuedAt: Date;
  supersededBy: Buffer | null;
  displaced: boolean;
  revokedAt: Date | null;
  heldAt: Date | null;
}

interface Row {
  i: number;
  serial: Uint8Array;
  agent_id: string;
  agent_name: string;
  agent_state: string;
  agent_profile: string;
  agent_version: number;
  dns_names: string[];
  ttl_cap_seconds: number | null;
  owner_id: string | null;
  owner_state: string | null;
  instance_id: string;
  instance_state: string;
  generation: number;
  tip_serial: Uint8Array;
  profile: string;
  issuer_id: string;
  key_hash: Uint8Array;
  not_after: Date;
  issued_at: Date;
  superseded_by: Uint8Array | null;
  displaced: boolean;
  revoked_at: Date | null;
  held_at: Date | null;
}

const PRESENT: HotStatement = { name: 'present-certificates', text: 'SELECT * FROM present_certificates($1::json, $2::timestamptz)' };

/**
 * Records the presentations durably (first ones only) and returns what is stored of each, in order; undefined for a certificate that is not
 * byte for byte one of ours. One statement for the batch (SQL function present_certificates).
 */
export async function presentCertificates(db: Db, presentations: readonly Presentation[]): Promise<(PresentedCertificate | undefined)[]> {
  const batch = presentations.map((p, index) => ({
    i: index,
    bucket: bucketOfSerial(p.serial),
    serial: `\\x${p.serial.toString('hex')}`,
    fingerprint: `\\x${p.fingerprint.toString('hex')}`,
  }));
  const at = presentations[0]?.at;
  const rows = await runHot<Row>(db, PRESENT, [JSON.stringify(batch), at]);
  const found = new Array<PresentedCertificate | undefined>(presentations.length).fill(undefined);
  for (const row of rows) found[row.i] = stored(row);
  return found;
}

function stored(row: Row): PresentedCertificate {
  return {
    serial: buffer(row.serial),
    agentId: row.agent_id,
    agentName: row.agent_name,
    agentState: row.agent_state,
    agentProfile: row.agent_profile,
    agentVersion: row.agent_version,
    dnsNames: row.dns_names,
    ttlCapSeconds: row.ttl_cap_seconds,
    ownerId: row.owner_id,
    ownerState: row.owner_state,
    instanceId: row.instance_id,
    instanceState: row.instance_state,
    generation: row.generation,
    tipSerial: buffer(row.tip_serial),
    profile: row.profile,
    issuerId: row.issuer_id,
    keyHash: buffer(row.key_hash),
    notAfter: row.not_after,
    issuedAt: row.issued_at,
    supersededBy: row.superseded_by ? buffer(row.superseded_by) : null,
    displaced: row.displaced,
    revokedAt: row.revoked_at,
    heldAt: row.held_at,
  };
}

export type PresentationQueue = Batcher<Presentation, PresentedCertificate | undefined>;

/** Presentations that arrive while a statement is in flight share the next one (never a timer). */
export function createPresentationQueue(needs: { db: Db; config: { commitBatchMax: number; commitQueueMax: number } }): PresentationQueue {
  return createBatcher<Presentation, PresentedCertificate | undefined>({
    maxBatch: needs.config.commitBatchMax,
    maxQueue: needs.config.commitQueueMax,
    run: (presentations) => presentCertificates(needs.db, presentations),
  });
}
