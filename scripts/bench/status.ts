/** The JSON status interface over keep-alive HTTPS: one serial a question, and batches. */
import { requestOf } from './connection.ts';
import { closedLoop, openPool } from './loops.ts';
import { assertAll, measure, type Figures } from './measure.ts';
import type { Stage } from './stage.ts';

const CONNECTIONS = 32;
export const STATUS_BATCH = 100;

/** `single`: one serial, from the database and from memory; `batch`: STATUS_BATCH serials in a request, never asked about before. */
export type StatusFigures = Record<'single cold' | 'single warm' | 'batch cold', Figures>;

/** Certificates that this scenario asks about, warm-up included. */
export const serialsOfStatus = (sizes: Stage['sizes']): number => sizes.statusWarmUp + sizes.status + sizes.statusBatches * STATUS_BATCH;

/** `serials`: never asked about before. */
export async function status(stage: Stage, serials: readonly Buffer[]): Promise<StatusFigures> {
  const { service, sizes } = stage;
  const headers = { authorization: `Bearer ${service.adminToken}` };
  const all = serials.map((serial) => serial.toString('hex'));
  const hex = all.slice(sizes.statusWarmUp);
  const question = (serial: string) => requestOf('GET', `/v1/status/${serial}`, headers);
  const single = hex.slice(0, sizes.status).map(question);
  const batches = Array.from({ length: sizes.statusBatches }, (_, i) => hex.slice(sizes.status + i * STATUS_BATCH, sizes.status + (i + 1) * STATUS_BATCH)).map((batch) =>
    requestOf('POST', '/v1/status', { ...headers, 'content-type': 'application/json' }, Buffer.from(JSON.stringify({ serials: batch }))),
  );
  const pool = await openPool(service.doors.api, CONNECTIONS);
  await closedLoop(pool, all.slice(0, sizes.statusWarmUp).map(question));
  const runs = { 'single cold': single, 'single warm': single, 'batch cold': batches };
  const figures: Partial<StatusFigures> = {};
  for (const [name, requests] of Object.entries(runs)) {
    const measured = await measure(stage, () => closedLoop(pool, requests));
    assertAll(measured.answers, 200);
    const bad = measured.answers.replies.find(({ body }) => !body.includes('"status":"good"'));
    if (bad) throw new Error(`a status is not good: ${bad.body.toString('utf8').slice(0, 200)}`);
    figures[name as keyof StatusFigures] = measured.figures;
  }
  pool.close();
  return figures as StatusFigures;
}
