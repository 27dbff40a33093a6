/** Issuance: keep-alive HTTPS, a join token and a key of its own for each certificate. */
import { requestOf } from './connection.ts';
import type { MadeCsr } from './csrs.ts';
import { closedLoop, openLoop, openPool } from './loops.ts';
import { assertAll, measure, type Figures } from './measure.ts';
import { ownersOfConnections } from './processes.ts';
import type { Stage } from './stage.ts';

const CONNECTIONS = 64;

/** An instance that the bench enrolled: what it needs to show itself. */
export interface Enrolled {
  agentId: string;
  serial: string;
  key: MadeCsr;
  /** Leaf and chain, PEM. */
  chain: string;
}

export interface IssuanceFigures {
  full: Figures;
  /** Constant arrival at half of the full rate. */
  half: Figures;
  /** Certificates handed out by each worker. */
  served: Record<string, number>;
}

export async function issuance(stage: Stage, agentIds: readonly string[]): Promise<{ figures: IssuanceFigures; enrolled: Enrolled[] }> {
  const { service, csrs, sizes, database } = stage;
  const count = sizes.issuanceWarmUp + sizes.issuance + sizes.issuanceHalf;
  const keys = csrs.take(count);
  const tokens = await database.insertJoinTokens(agentIds, count);
  await database.settle('agents', 'join_tokens');
  const headers = { 'content-type': 'application/pkcs10' };
  const requests = keys.map(({ der }, i) => requestOf('POST', '/v1/certificates', { ...headers, authorization: `Bearer ${tokens[i]}` }, der));
  const part = (from: number, length: number) => requests.slice(from, from + length);

  const pool = await openPool(service.doors.api, CONNECTIONS);
  const warm = await closedLoop(pool, part(0, sizes.issuanceWarmUp));
  const full = await measure(stage, () => closedLoop(pool, part(sizes.issuanceWarmUp, sizes.issuance)));
  const half = await measure(stage, () => openLoop(pool, part(sizes.issuanceWarmUp + sizes.issuance, sizes.issuanceHalf), full.figures.perSecond / 2));
  const owners = ownersOfConnections(service.doors.api.port, [service.pid, ...service.workers]);
  pool.close();

  const served: Record<string, number> = {};
  for (const [port, answered] of full.answers.byPort) {
    const owner = String(owners.get(port));
    served[owner] = (served[owner] ?? 0) + answered;
  }
  for (const answers of [warm, full.answers, half.answers]) assertAll(answers, 201);
  const replies = [warm, full.answers, half.answers].flatMap((answers) => answers.replies);
  const enrolled = replies.map(({ body }, i): Enrolled => {
    const { serial, agentId, certificate, chain } = JSON.parse(body.toString('utf8')) as { serial: string; agentId: string; certificate: string; chain: string };
    return { agentId, serial, key: keys[i] as MadeCsr, chain: certificate + chain };
  });
  return { figures: { full: full.figures, half: half.figures, served }, enrolled };
}
