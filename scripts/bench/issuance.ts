/** Issuance: keep-alive HTTPS, a join token and a key of its own for each certificate. */
import { requestOf, type Reply } from './connection.ts';
import type { MadeCsr } from './csrs.ts';
import { closedLoop, openLoop, openPool, type Answers } from './loops.ts';
import { assertAll, measure, type Figures } from './measure.ts';
import { withBatchRows } from './metrics.ts';
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
  /** Certificates a group commit, of any worker, on average. */
  batchRows: { full: number; half: number };
  /** Certificates handed out by each worker. */
  served: Record<string, number>;
}

export async function issuance(stage: Stage, agentIds: readonly string[]): Promise<{ figures: IssuanceFigures; enrolled: Enrolled[] }> {
  const { service, csrs, sizes, database } = stage;
  const count = sizes.issuanceWarmUp + sizes.issuance + sizes.issuanceHalf;
  const keys = csrs.take(count);
  const requests = await requestsFor(stage, agentIds, keys);
  await database.settle('agents', 'join_tokens');
  const part = (from: number, length: number) => requests.slice(from, from + length);

  const pool = await openPool(service.doors.api, CONNECTIONS);
  const warm = await closedLoop(pool, part(0, sizes.issuanceWarmUp));
  const [full, fullRows] = await withBatchRows(service, () => measure(stage, () => closedLoop(pool, part(sizes.issuanceWarmUp, sizes.issuance))));
  const [half, halfRows] = await withBatchRows(service, () => measure(stage, () => openLoop(pool, part(sizes.issuanceWarmUp + sizes.issuance, sizes.issuanceHalf), full.figures.perSecond / 2)));
  const owners = ownersOfConnections(service.doors.api.port, [service.pid, ...service.workers]);
  pool.close();

  const served: Record<string, number> = {};
  for (const [port, answered] of full.answers.byPort) {
    const owner = String(owners.get(port));
    served[owner] = (served[owner] ?? 0) + answered;
  }
  for (const answers of [warm, full.answers, half.answers]) assertAll(answers, 201);
  const enrolled = [warm, full.answers, half.answers].flatMap(({ replies }) => replies).map((reply, i) => enrolledBy(reply, keys[i] as MadeCsr));
  return { figures: { full: full.figures, half: half.figures, batchRows: { full: fullRows, half: halfRows }, served }, enrolled };
}

/** One certificate, for those who need one that is real. */
export async function issueOne(stage: Stage, agentIds: readonly string[]): Promise<Enrolled[]> {
  const keys = stage.csrs.take(1);
  const pool = await openPool(stage.service.doors.api, 1);
  const answers = await closedLoop(pool, await requestsFor(stage, agentIds, keys));
  pool.close();
  assertAll(answers, 201);
  return answers.replies.map((reply, i) => enrolledBy(reply, keys[i] as MadeCsr));
}

/** An enrollment request for each key, over the agents in turn, each with a join token of its own. */
export async function requestsFor({ database }: Stage, agentIds: readonly string[], keys: readonly MadeCsr[]): Promise<Buffer[]> {
  const tokens = await database.insertJoinTokens(agentIds, keys.length);
  return keys.map(({ der }, i) => requestOf('POST', '/v1/certificates', { 'content-type': 'application/pkcs10', authorization: `Bearer ${tokens[i]}` }, der));
}

/** Serials of answers that are certificates. */
export const serialsOf = ({ replies }: Answers): string[] => replies.map(({ body }) => (JSON.parse(body.toString('utf8')) as { serial: string }).serial);

function enrolledBy({ body }: Reply, key: MadeCsr): Enrolled {
  const { serial, agentId, certificate, chain } = JSON.parse(body.toString('utf8')) as { serial: string; agentId: string; certificate: string; chain: string };
  return { agentId, serial, key, chain: certificate + chain };
}
