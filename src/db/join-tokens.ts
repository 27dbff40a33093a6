import { findAgent, type AgentRecord } from './agents.ts';
import { buffer, bytes, type Db, type Tx } from './client.ts';

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

/** The row of Prisma as a record. */
export function joinTokenRecord(row: Row): JoinTokenRecord {
  const optional = (value: Uint8Array | null) => (value === null ? null : buffer(value));
  return {
    ...row,
    secretHash: buffer(row.secretHash),
    boundKeyHash: optional(row.boundKeyHash),
    usedKeyHash: optional(row.usedKeyHash),
    usedSerial: optional(row.usedSerial),
  };
}

export type NewJoinToken = Omit<JoinTokenRecord, 'usedAt' | 'usedKeyHash' | 'usedSerial' | 'usedInstanceId'>;

export async function insertJoinToken(tx: Tx, token: NewJoinToken): Promise<void> {
  await tx.joinToken.create({
    data: { ...token, secretHash: bytes(token.secretHash), boundKeyHash: token.boundKeyHash && bytes(token.boundKeyHash) },
  });
}

/** A join token with the agent it is for. Two statements: whether both still hold is re-checked at the commit. */
export async function findJoinToken(db: Db | Tx, id: string): Promise<{ token: JoinTokenRecord; agent: AgentRecord } | undefined> {
  const row = await db.joinToken.findUnique({ where: { id } });
  if (!row) return undefined;
  const agent = await findAgent(db, row.agentId);
  return agent && { token: joinTokenRecord(row), agent };
}
