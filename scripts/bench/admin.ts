/** What the bench asks of the service as its administrator. */
import { requestOf } from './connection.ts';
import type { Pool } from './loops.ts';
import type { Service } from './service.ts';

/** A change, over the first connection of the pool. @throws Error for an answer that is not 2xx */
export async function order<Answer = unknown>(admin: Pool, { adminToken }: Service, path: string, body: object): Promise<Answer> {
  const [connection] = admin.connections;
  if (!connection) throw new Error('the pool is empty');
  const reply = await connection.ask(requestOf('POST', path, { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' }, Buffer.from(JSON.stringify(body))));
  if (reply.status >= 300) throw new Error(`${path} answered ${reply.status} ${reply.body.toString('utf8').slice(0, 400)}`);
  return JSON.parse(reply.body.toString('utf8')) as Answer;
}
