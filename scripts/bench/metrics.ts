/** What the service itself counts, all workers together. */
import type { Service } from './service.ts';

/** Sum over the samples of a metric whose labels include `labels`. */
export async function metric(service: Service, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const samples = (await service.metrics()).split('\n').filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)) && wanted.every((label) => line.includes(label)));
  return samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Certificates a group commit while `run` ran, and what it resolved to. */
export async function withBatchRows<T>(service: Service, run: () => Promise<T>): Promise<[T, number]> {
  const counts = async () => ({ rows: await metric(service, 'signet_commit_batch_rows_sum'), commits: await metric(service, 'signet_commit_batch_rows_count') });
  const before = await counts();
  const result = await run();
  const after = await counts();
  return [result, (after.rows - before.rows) / Math.max(1, after.commits - before.commits)];
}
