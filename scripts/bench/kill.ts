/**
 * From a kill to its refusal: enforcement points follow two replicas of one process each, a kill goes through one of them while certificates are being issued,
 * and a prober that knows nothing of the feed asks every point until it refuses. In the end one point is cut off from its replica.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { order } from './admin.ts';
import type { Cut, Following, PointsConfig } from './enforcement-points.ts';
import { requestsFor, serialsOf, type Enrolled } from './issuance.ts';
import { openLoop, openPool, type Pool } from './loops.ts';
import { assertAll, quantile } from './measure.ts';
import { monotonicMs, type Probe, type Refused, type Watching } from './prober.ts';
import { startService, type Service } from './service.ts';
import type { Stage } from './stage.ts';

const PROBE_EVERY_MS = 25;
const GIVE_UP_MS = 15_000;
const ISSUANCES_A_SECOND = 200;
const CONNECTIONS = 32;
/** Between two kills: what one has stirred up is over before the next. */
const PAUSE_MS = 300;

export interface KillFigures {
  points: number;
  kills: number;
  /** From sending the kill to the first refusal, over all points and kills; resolution PROBE_EVERY_MS. */
  refusalMs: { p50: number; p99: number };
  /** The same to the last point of each kill. */
  lastMs: { p50: number; max: number };
  /** To the answer of the kill. */
  answerMs: { p50: number; max: number };
  /** Issued meanwhile, a second. */
  issuedPerSecond: number;
  /** A point that hears nothing any more: when it refused, and what it said. */
  partitioned: { seconds: number; why: string };
}

/** Programs of the bench that are told and tell over IPC. */
interface Child {
  tell(message: object): void;
  /** What it next tells of that kind. @throws Error when it ends before */
  next<News extends { kind: string }>(kind: News['kind']): Promise<News>;
  stop(): Promise<void>;
}

function start(program: string): Child {
  const child: ChildProcess = fork(path.resolve(import.meta.dirname, program), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    tell: (message) => void child.send(message),
    next: <News extends { kind: string }>(kind: News['kind']) => {
      const told = new Promise<News>((resolve) => {
        const hear = (news: unknown) => {
          if ((news as News).kind !== kind) return;
          child.off('message', hear);
          resolve(news as News);
        };
        child.on('message', hear);
      });
      return Promise.race([told, ended.then((code): never => { throw new Error(`${program} ended with ${code}`); })]);
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** `victims`: enrolled instances of different agents, one a kill and one for the partition; `agentIds` go on being issued to. Returns the serials of that, too. */
export async function kill(stage: Stage, victims: readonly Enrolled[], agentIds: readonly string[]): Promise<{ figures: KillFigures; serials: string[] }> {
  const { service, sizes } = stage;
  const dataDir = mkdtempSync(path.join(os.tmpdir(), 'signet-bench-replica-'));
  const other = await startService({ dataDir, workers: 1, profileDir: undefined, beside: service });
  const [points, prober] = [start('enforcement-points.ts'), start('prober.ts')];
  const admin = await openPool(service.doors.api, 1);
  try {
    points.tell(await registerPoints(admin, [service, other], sizes.points));
    const { port } = await points.next<Following>('following');
    /** Resolves when all points were asked and let the serial pass; then with what became of it. */
    const watch = async (serial: string): Promise<{ outcome: Promise<Refused> }> => {
      const [watching, outcome] = [prober.next<Watching>('watching'), prober.next<Refused>('refused')];
      prober.tell({ port, points: sizes.points, serial, everyMs: PROBE_EVERY_MS, giveUpMs: GIVE_UP_MS } satisfies Probe);
      await watching;
      return { outcome };
    };

    const issuing = await openPool(service.doors.api, CONNECTIONS);
    const csrs = stage.csrs.take(sizes.killIssuances);
    const issued = openLoop(issuing, await requestsFor(stage, agentIds, csrs), ISSUANCES_A_SECOND);
    let isIssuing = true;
    const settled = issued.finally(() => (isIssuing = false));
    const after: number[][] = [];
    const answers: number[] = [];
    for (const { serial, agentId } of victims.slice(0, sizes.kills)) {
      const { outcome } = await watch(serial);
      if (!isIssuing) throw new Error('issuance was over before the kills: raise killIssuances');
      const sent = monotonicMs();
      await killAgent(admin, service, agentId);
      answers.push(monotonicMs() - sent);
      const { at } = await outcome;
      after.push(at.map((time, index) => {
        if (time === null) throw new Error(`point ${index} lets a killed agent pass for ${GIVE_UP_MS / 1000} s`);
        return time - sent;
      }));
      await sleep(PAUSE_MS);
    }
    const made = await settled;
    assertAll(made, 201);
    issuing.close();

    const { outcome } = await watch((victims[sizes.kills] as Enrolled).serial);
    const cutAt = monotonicMs();
    points.tell({ kind: 'cut' } satisfies Cut);
    const { at: [lonely], why: [why], at } = await outcome;
    if (lonely === null || lonely === undefined) throw new Error('a point that hears nothing lets callers pass');
    if (at.slice(1).some((time) => time !== null)) throw new Error('a point that was not cut off refuses');

    const [refusals, lasts] = [after.flat(), after.map((times) => Math.max(...times))];
    const figures: KillFigures = {
      points: sizes.points,
      kills: sizes.kills,
      refusalMs: { p50: quantile(refusals, 0.5), p99: quantile(refusals, 0.99) },
      lastMs: { p50: quantile(lasts, 0.5), max: Math.max(...lasts) },
      answerMs: { p50: quantile(answers, 0.5), max: Math.max(...answers) },
      issuedPerSecond: made.replies.length / made.seconds,
      partitioned: { seconds: (lonely - cutAt) / 1000, why: why ?? '' },
    };
    return { figures, serials: serialsOf(made) };
  } finally {
    admin.close();
    await Promise.all([points.stop(), prober.stop()]);
    await other.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** A relying party with a token for each point; the points are spread over the replicas in turn. */
async function registerPoints(admin: Pool, replicas: readonly Service[], count: number): Promise<PointsConfig> {
  const [first] = replicas;
  if (!first) throw new Error('there is no replica');
  const points: PointsConfig['points'] = [];
  for (let i = 0; i < count; i++) {
    const { id } = await order<{ id: string }>(admin, first, '/v1/relying-parties', { name: `bench-point-${i}`, ownerEmail: 'bench@example.org', mayAsk: ['status', 'feed'] });
    const { token } = await order<{ token: string }>(admin, first, `/v1/relying-parties/${id}/tokens`, { name: 'bench' });
    points.push({ url: `https://127.0.0.1:${replicas[i % replicas.length]?.doors.api.port}`, token, name: `point-${i}` });
  }
  return { kind: 'follow', trustBundle: first.rootPem, points };
}

const killAgent = (admin: Pool, service: Service, agentId: string) => order(admin, service, '/v1/kill', { selector: { agentId }, effect: 'suspend', reason: 'bench' });
