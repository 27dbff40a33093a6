import { bucketOfSerial } from '../../x509/serial.ts';
import { bytes, type Db } from '../client.ts';

/** Who holds the key of a certificate that was shown in a TLS handshake, good or not. */
export type ShownBy = { agentId: string; instanceId: string } | { relyingPartyId: string };

/** The holder of a certificate that is, byte for byte, one we issued or one that a relying party has pinned; else undefined. `serial` as in the certificate. */
export async function whoHolds(db: Db, { serial, fingerprint }: { serial: Uint8Array; fingerprint: Uint8Array }): Promise<ShownBy | undefined> {
  const [issued] = await db.$queryRaw<{ agentId: string; instanceId: string }[]>`
    SELECT agent_id AS "agentId", instance_id AS "instanceId" FROM certificates WHERE bucket = ${bucketOfSerial(serial)} AND serial = ${bytes(serial)} AND fingerprint = ${bytes(fingerprint)}`;
  if (issued) return issued;
  const [pinned] = await db.$queryRaw<{ relyingPartyId: string }[]>`SELECT relying_party_id AS "relyingPartyId" FROM relying_party_certificates WHERE fingerprint = ${bytes(fingerprint)}`;
  return pinned;
}
