import { agentColumns, type AgentRecord } from './agents.ts';
import { createBatcher, type Batcher } from './batcher.ts';
import { buffer, bytes, runHot, type Db, type HotStatement, type Tx } from './client.ts';

/** A join token as it is stored: never its secret. */
export interface JoinTokenRecord {
  id: string;
  agentId: string;
  /** SHA-256 of the secret part. */
  secretHash: Buffer;
  /** Where it may be used from; empty for anywhere. */
  sourceCidrs: string[];
  /** SHA-256 of the only SubjectPublicKeyInfo it is good for. */
  boundKeyHash: Buffer | null;
  createdBy: string;
  createdAt: Date;
  expiresAt: Date;
  usedAt: Date | null;
  usedKeyHash: Buffer | null;
  usedSerial: Buffer | null;
  usedInstanceId: string | null;
}

interface Row extends Omit<JoinTokenRecord, 'secretHash' | 'boundKeyHash' | 'usedKeyHash' | 'usedSerial'> {
  secretHash: Uint8Array;
  boundKeyHash: Uint8Array | null;
  usedKeyHash: Uint8Array | null;
  usedSerial: Uint8Array | null;
}

const bufferOrNull = (value: Uint8Array | null): Buffer | null => (value === null ? null : buffer(value));

/** The row of Prisma as a record. */
export function joinTokenRecord(row: Row): JoinTokenRecord {
  return {
    ...row,
    secretHash: buffer(row.secretHash),
    boundKeyHash: bufferOrNull(row.boundKeyHash),
    usedKeyHash: bufferOrNull(row.usedKeyHash),
    usedSerial: bufferOrNull(row.usedSerial),
  };
}

export type NewJoinToken = Omit<JoinTokenRecord, 'usedAt' | 'usedKeyHash' | 'usedSerial' | 'usedInstanceId'>;

export async function insertJoinToken(tx: Tx, token: NewJoinToken): Promise<void> {
  await tx.joinToken.create({
    data: { ...token, secretHash: bytes(token.secretHash), boundKeyHash: token.boundKeyHash && bytes(token.boundKeyHash) },
  });
}

/** What judging a join token needs of it. */
export type JoinTokenEvidence = Pick<JoinTokenRecord, 'id' | 'agentId' | 'secretHash' | 'sourceCidrs' | 'boundKeyHash' | 'expiresAt' | 'usedAt' | 'usedKeyHash' | 'usedSerial'>;

interface EvidenceRow extends AgentRecord {
  tokenId: string;
  secretHash: Uint8Array;
  sourceCidrs: string[];
  boundKeyHash: Uint8Array | null;
  expiresAt: Date;
  usedAt: Date | null;
  usedKeyHash: Uint8Array | null;
  usedSerial: Uint8Array | null;
}

/** A join token with the agent it is for. */
export interface FoundJoinToken {
  token: JoinTokenEvidence;
  agent: AgentRecord;
}

const FIND: HotStatement = {
  name: 'find-join-tokens',
  text: `SELECT t.id AS "tokenId", t.secret_hash AS "secretHash", t.source_cidrs AS "sourceCidrs", t.bound_key_hash AS "boundKeyHash", t.expires_at AS "expiresAt",
      t.used_at AS "usedAt", t.used_key_hash AS "usedKeyHash", t.used_serial AS "usedSerial", ${agentColumns.sql}
    FROM join_tokens t JOIN agents a ON a.id = t.agent_id LEFT JOIN owners o ON o.id = a.owner_id WHERE t.id = ANY ($1::text[])`,
};

/** Join tokens with their agents, in one statement, in the order of the ids. Whether both still hold is decided again at the commit. */
export async function findJoinTokens(db: Db, ids: readonly string[]): Promise<(FoundJoinToken | undefined)[]> {
  const rows = await runHot<EvidenceRow>(db, FIND, [ids]);
  const found = new Map(rows.map((row) => [row.tokenId, evidence(row)]));
  return ids.map((id) => found.get(id));
}

export type JoinTokenQueue = Batcher<string, FoundJoinToken | undefined>;

/** Every enrollment asks for its token: those that arrive while a statement is in flight share the next one (never a timer). */
export function createJoinTokenQueue(needs: { db: Db; config: { commitBatchMax: number; commitQueueMax: number } }): JoinTokenQueue {
  return createBatcher<string, FoundJoinToken | undefined>({
    maxBatch: needs.config.commitBatchMax,
    maxQueue: needs.config.commitQueueMax,
    run: (ids) => findJoinTokens(needs.db, ids),
  });
}

function evidence(row: EvidenceRow): FoundJoinToken {
  const { tokenId, secretHash, sourceCidrs, boundKeyHash, expiresAt, usedAt, usedKeyHash, usedSerial, ...agent } = row;
  const token = {
    id: tokenId,
    agentId: agent.id,
    secretHash: buffer(secretHash),
    sourceCidrs,
    boundKeyHash: bufferOrNull(boundKeyHash),
    expiresAt,
    usedAt,
    usedKeyHash: bufferOrNull(usedKeyHash),
    usedSerial: bufferOrNull(usedSerial),
  };
  return { token, agent };
}
