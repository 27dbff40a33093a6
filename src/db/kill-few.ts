import type { AffectedCertificate, CauseChange } from './certificate-status.ts';
import type { HotStatement, Runner } from './client.ts';
import type { InstanceFlip, StateFlip } from './kill-states.ts';
import { killCause, LATELY_MS, type KillRecord } from './kills.ts';

/** What a kill of few changed. */
export interface FewHit {
  owners: StateFlip[];
  agents: StateFlip[];
  instances: InstanceFlip[];
  changed: CauseChange[];
  /** Not good since moments ago by somebody else's doing, who may not have told this replica. */
  lately: AffectedCertificate[];
}

interface Row {
  kind: 'owner' | 'agent' | 'instance' | 'certificate' | 'lately' | 'not-at-once';
  id: string;
  agent_id: string;
  instance_id: string;
  serial: Buffer;
  issuer_id: string;
  shard: number;
  flipped: boolean;
}

const KILL_FEW: HotStatement = { name: 'kill-few', text: 'SELECT * FROM kill_few($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)' };

/**
 * Takes the gate, changes the states and then the certificates of a kill that hits at most `bound` agents and certificates together. Certificates that ended after `since` are
 * covered. Undefined where it hits more, or where there is something to refuse or to explain: then the transaction must be rolled back.
 */
export async function killFew(
  tx: Runner,
  kill: Pick<KillRecord, 'id' | 'selector' | 'target' | 'effect' | 'reason' | 'revocationReason' | 'createdAt'>,
  { since, bound }: { since: Date; bound: number },
): Promise<FewHit | undefined> {
  const { id, selector, target, effect, reason, revocationReason, createdAt: now } = kill;
  const rows = await tx.run<Row>(KILL_FEW, [id, selector, target, effect, reason, killCause(id), revocationReason, now, now, since, new Date(now.getTime() - LATELY_MS), bound]);
  if (rows.some(({ kind }) => kind === 'not-at-once')) return undefined;
  const of = (kind: Row['kind']): Row[] => rows.filter((row) => row.kind === kind);
  const flip = ({ id: changed, flipped }: Row): StateFlip => ({ id: changed, flipped });
  return {
    owners: of('owner').map(flip),
    agents: of('agent').map(flip),
    instances: of('instance').map((row) => ({ ...flip(row), agentId: row.agent_id })),
    changed: of('certificate').map((row) => ({ ...certificate(row), flipped: row.flipped, ...(revocationReason === null ? {} : { reason: revocationReason }) })),
    lately: of('lately').map(certificate),
  };
}

const certificate = (row: Row): AffectedCertificate => ({ serial: row.serial, issuerId: row.issuer_id, shard: row.shard, agentId: row.agent_id, instanceId: row.instance_id });
