import { createHash } from 'node:crypto';
import type { RegisterAgentBody } from '../../src/api/agents.ts';
import type { AgentContext, AgentRecord } from '../../src/agents/agent.ts';
import { registerAgent } from '../../src/agents/register.ts';
import type { Origin } from '../../src/audit/events.ts';
import { loadConfig } from '../../src/config/load.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createSystemRandom, ulid } from '../../src/core/random.ts';
import { alone } from '../../src/core/siblings.ts';
import { bytes, inTransaction } from '../../src/db/client.ts';
import { loadProfiles } from '../../src/profiles/profile.ts';
import { createRevocationSignals, type ChangedCertificate } from '../../src/revocation/signals.ts';
import { bucketOf, makeSerial } from '../../src/x509/serial.ts';
import { FIXED_NOW, type TestDatabase } from './db.ts';
import { createJoinTokenQueue } from '../../src/db/join-tokens.ts';
import type { EnrollmentContext } from '../../src/enrollment/enrollment-method.ts';

/** An operator at work. */
export const OPERATOR: Origin = { actor: { kind: 'admin', id: '01KAMV3W5QZ3C1D6X2G7R8S9TB' }, requestId: '01KAMV3W5QZ3C1D6X2G7R8S9TC', source: '127.0.0.1' };

export const seconds = (count: number): number => count * 1000;
/** The fixed clock, moved. */
export const after = (ms: number): Date => new Date(FIXED_NOW.getTime() + ms);

/** Agents and what is issued to them in a test database, without any cryptography: certificates are rows with made-up DER. */
export interface AgentFixture {
  ctx: AgentContext & EnrollmentContext;
  /** What was announced to the parts of the process that answer for status, in order. */
  announced: ChangedCertificate[];
  register(request?: Partial<RegisterAgentBody>, now?: Date): Promise<AgentRecord>;
  /** An enrolled instance with one certificate. */
  enroll(agent: Pick<AgentRecord, 'id'>, options?: StoredOptions): Promise<StoredLeaf>;
  /** One more certificate of an instance. */
  store(leaf: Pick<StoredLeaf, 'agentId' | 'instanceId'>, options?: StoredOptions): Promise<StoredLeaf>;
}

export interface StoredOptions {
  issuedAt?: Date;
  ttlSeconds?: number;
  supersededBy?: Buffer;
  profile?: string;
  issuerId?: string;
}

export interface StoredLeaf {
  serial: Buffer;
  agentId: string;
  instanceId: string;
  keyHash: Buffer;
  notAfter: Date;
}

let sequence = 0;

export async function agentFixture({ db, ownerDb, product }: TestDatabase, changes: Partial<AgentContext> = {}): Promise<AgentFixture> {
  const signals = createRevocationSignals();
  const announced: ChangedCertificate[] = [];
  signals.subscribe((certificates) => announced.push(...certificates));
  const random = createSystemRandom();
  const config = loadConfig({ SIGNET_DATA_DIR: '/nonexistent' });
  const ctx = { joinTokens: createJoinTokenQueue({ db: product, config }), db: product, config, profiles: loadProfiles(undefined), random, signals, siblings: alone, metrics: createMetrics(), barrier: noBarrier, ...changes };
  await ownerDb.cluster.createMany({ data: { id: 'test', trustDomain: config.trustDomain, createdAt: FIXED_NOW }, skipDuplicates: true });

  const store: AgentFixture['store'] = async ({ agentId, instanceId }, options = {}) => {
    const { issuedAt = FIXED_NOW, ttlSeconds = 3600, supersededBy, profile = 'agent', issuerId = 'issuer' } = options;
    const notAfter = new Date(issuedAt.getTime() + seconds(ttlSeconds));
    const serial = makeSerial(notAfter, random.bytes(16));
    const keyHash = createHash('sha256').update(serial).digest();
    await db.certificate.create({
      data: {
        bucket: bucketOf(notAfter), serial: bytes(serial), issuerId, agentId, instanceId, profile, shard: 0, generation: 1, fingerprint: bytes(keyHash), keyHash: bytes(keyHash),
        der: bytes(serial), notBefore: issuedAt, notAfter, issuedAt, supersededBy: supersededBy ? bytes(supersededBy) : null,
      },
    });
    await db.publicKey.create({ data: { keyHash: bytes(keyHash), agentId, instanceId, firstSeenAt: issuedAt, notAfter } });
    return { serial, agentId, instanceId, keyHash, notAfter };
  };

  return {
    ctx,
    announced,
    register: (request, now = FIXED_NOW) =>
      inTransaction(product, (tx) =>
        registerAgent(
          ctx, tx, OPERATOR,
          { name: `agent-${++sequence}`, purpose: 'testing', riskClass: 'limited', environment: 'production', profile: 'agent', ownerEmail: 'owner@example.com', ...request },
          now,
        ),
      ),
    async enroll(agent, options = {}) {
      const instanceId = ulid(options.issuedAt ?? FIXED_NOW, random);
      const leaf = await store({ agentId: agent.id, instanceId }, options);
      const at = options.issuedAt ?? FIXED_NOW;
      await db.instance.create({
        data: { id: instanceId, agentId: agent.id, state: 'active', generation: 1, tipSerial: bytes(leaf.serial), enrolledBy: 'join-token:test', enrolledFrom: null, createdAt: at, updatedAt: at },
      });
      return leaf;
    },
    store,
  };
}

/** Status columns of one stored certificate. */
export async function statusColumns({ db }: TestDatabase, { serial }: Pick<StoredLeaf, 'serial'>) {
  return db.certificate.findFirstOrThrow({ where: { serial: bytes(serial) }, select: { revokedAt: true, revocationReason: true, heldAt: true, holdCauses: true } });
}

/** The feed as kinds with the serials they name. */
export async function feedOf({ db }: TestDatabase): Promise<string[]> {
  const rows = await db.feedEvent.findMany({ orderBy: { n: 'asc' } });
  return rows.map(({ kind, serial }) => (serial ? `${kind} ${Buffer.from(serial).toString('hex')}` : kind));
}

/** The code a refused use case was refused with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
}
