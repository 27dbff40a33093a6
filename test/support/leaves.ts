import { createHash, generateKeyPairSync } from 'node:crypto';
import type { Issuer } from '../../src/authorities/authorities.ts';
import { prepare } from '../../src/authorities/prepare.ts';
import { bytes, inTransaction, type Db, type Tx } from '../../src/db/client.ts';
import { appendFeedRows, type FeedKind } from '../../src/db/feed.ts';
import { applyProfile } from '../../src/profiles/apply.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { parsePublicKey } from '../../src/x509/public-key.ts';
import { bucketOfSerial, makeSerial } from '../../src/x509/serial.ts';
import { issuerFacts } from '../../src/issuance/issuer-facts.ts';
import type { TestAuthority } from './authority.ts';

export const LEAF_AGENT = '01KAJ3G5N8AAAAAAAAAAAAAAAA';
export const LEAF_INSTANCE = '01KAJ3G5N8BBBBBBBBBBBBBBBB';

/** A serial of our form for a certificate that ends at `notAfter`; `n` tells it from others. */
export function leafSerial(notAfter: Date, n: number): Buffer {
  return makeSerial(notAfter, createHash('sha256').update(`leaf ${n}`).digest().subarray(0, 16));
}

/** Rows of certificates as an issuance leaves them; their DER is not a certificate unless given. */
export async function storeLeaves(db: Db, issuerId: string, leaves: { serial: Buffer; notAfter: Date; shard?: number; der?: Buffer }[]): Promise<void> {
  await db.certificate.createMany({
    data: leaves.map(({ serial, notAfter, shard = 0, der = serial }) => ({
      bucket: bucketOfSerial(serial),
      serial: bytes(serial),
      issuerId,
      agentId: LEAF_AGENT,
      instanceId: LEAF_INSTANCE,
      profile: 'agent',
      shard,
      generation: 1,
      fingerprint: bytes(createHash('sha256').update(der).digest()),
      keyHash: bytes(createHash('sha256').update(serial).digest()),
      der: bytes(der),
      notBefore: new Date(notAfter.getTime() - 3_660_000),
      notAfter,
      issuedAt: new Date(notAfter.getTime() - 3_600_000),
    })),
  });
}

/** A whole certificate of the active issuer, stored. */
export async function issueLeaf(authority: TestAuthority, n: number): Promise<{ serial: Buffer; der: Buffer; issuer: Issuer }> {
  const issuer = authority.authorities.snapshot().active;
  const spki = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' });
  const profile = authority.profiles.get('agent');
  if (!profile) throw new Error('no profile');
  const spiffeId = `spiffe://${authority.config.trustDomain}/agent/${LEAF_AGENT}`;
  const intent = applyProfile(
    profile,
    issuerFacts(authority.config, issuer, 0),
    {
      makeSerial: (notAfter) => leafSerial(notAfter, n),
      agentId: LEAF_AGENT, agentName: 'leaf', spiffeId, dnsNames: [],
      publicKey: parsePublicKey(spki), ttlSeconds: 3_600, backdateSeconds: 60,
    },
    authority.clock.now(),
  );
  const registration = { agentId: LEAF_AGENT, instanceId: LEAF_INSTANCE, trustDomain: authority.config.trustDomain, dnsNames: [], instanceInPath: false };
  const der = await issuer.sign(prepare(intent, { kind: 'leaf', issuer: issuer.lintFacts, expectedSpki: spki, registration }));
  const { serial, notAfter } = parseCertificate(der);
  // Past the product: what a test sets up is no change that must be recorded (every-change.ts).
  await storeLeaves(authority.ownerDb, issuer.id, [{ serial, notAfter, der }]);
  return { serial, der, issuer };
}

export interface StatusChange {
  kind: Extract<FeedKind, 'revoked' | 'held' | 'released'>;
  serial: Buffer;
  at: Date;
  reason?: number;
}

/** Changes the status of a stored certificate with its feed row, in one transaction, as the use cases do. */
export async function changeStatus(db: Db, { kind, serial, at, reason = 0 }: StatusChange): Promise<{ serial: Buffer; issuerId: string; shard: number }> {
  return inTransaction(db, async (tx: Tx) => {
    const data =
      kind === 'revoked' ? { revokedAt: at, revocationReason: reason } : kind === 'held' ? { heldAt: at, holdCauses: ['test'] } : { heldAt: null, holdCauses: [] };
    const { issuerId, shard } = await tx.certificate.update({ where: { bucket_serial: { bucket: bucketOfSerial(serial), serial: bytes(serial) } }, data });
    await appendFeedRows(tx, at, [{ kind, serial, issuerId, shard, agentId: LEAF_AGENT, instanceId: LEAF_INSTANCE, reason }]);
    return { serial, issuerId, shard };
  });
}
