/** What one worker says for all workers of its replica: /metrics and /readyz. */
import type { Readiness } from '../api/public.ts';
import type { Context } from '../context.ts';
import type { MetricsSnapshot } from '../core/metrics.ts';

/** How long the other workers may take to answer: whoever asks for readiness or metrics has a time-out as well. */
const PATIENCE_MS = 1_000;

/** The readiness checks of one worker. */
export interface WorkerReadiness {
  worker: number;
  /** Everything it cannot serve without is there. */
  isReady: boolean;
  checks: Readiness['checks'];
  warnings: readonly string[];
}

/** Lets another worker speak for this one. Call it before the doors open. */
export function answerSiblings({ siblings, metrics }: Pick<Context, 'siblings' | 'metrics'>, readiness: () => Promise<WorkerReadiness>): void {
  siblings.on('metrics', () => metrics.snapshot());
  siblings.on('readiness', readiness);
}

/** The exposition for a scrape. A worker that does not answer in time is left out: its series have a gap. */
export async function replicaMetrics({ siblings, metrics }: Pick<Context, 'siblings' | 'metrics'>): Promise<string> {
  return metrics.text((await siblings.ask('metrics', undefined, PATIENCE_MS)) as MetricsSnapshot[]);
}

/** The checks of all workers as one: what not all of them pass says which fail it. Check `workers` is there where there are several. */
export async function replicaReadiness({ siblings }: Pick<Context, 'siblings'>, here: Promise<WorkerReadiness>): Promise<Pick<Readiness, 'checks' | 'warnings'> & { isReady: boolean }> {
  const others = siblings.ask('readiness', undefined, PATIENCE_MS) as Promise<WorkerReadiness[]>;
  const all = [await here, ...(await others)].toSorted((a, b) => a.worker - b.worker);
  const warnings = new Set(all.flatMap((one) => one.warnings));
  const checks: Readiness['checks'] = {};
  for (const name of new Set(all.flatMap((one) => Object.keys(one.checks)))) checks[name] = combine(name, all);
  if (siblings.workers > 1) {
    const { serving, wasComplete } = siblings.replica();
    const silent = serving.filter((number) => !all.some(({ worker }) => worker === number));
    const absent = Array.from({ length: siblings.workers }, (_, i) => i + 1).filter((number) => !serving.includes(number) && !all.some(({ worker }) => worker === number));
    // One that has ended takes no connections, and the others serve; before the replica was whole nobody should count on it.
    if (wasComplete) for (const number of absent) warnings.add(`worker ${number} has ended and is being replaced`);
    const missing = [...silent.map((number) => `worker ${number}: no answer`), ...(wasComplete ? [] : absent.map((number) => `worker ${number}: starting`))];
    checks.workers = missing.length === 0 ? 'ok' : missing.join(', ');
  }
  const isWhole = checks.workers === undefined || checks.workers === 'ok';
  return { isReady: isWhole && all.every((one) => one.isReady), checks, warnings: [...warnings] };
}

function combine(name: string, all: readonly WorkerReadiness[]): string {
  const said = all.map(({ worker, checks }) => ({ worker, check: checks[name] ?? 'not known' }));
  const [first] = said;
  if (first && said.every(({ check }) => check === first.check)) return first.check;
  return said.flatMap(({ worker, check }) => (check === 'ok' ? [] : [`worker ${worker}: ${check}`])).join(', ');
}
