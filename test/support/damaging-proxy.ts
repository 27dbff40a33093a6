import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of the body of an answer on its way. */
export type Damage = (url: string, body: Buffer) => Buffer;

/** Passes requests on to `target` and damages what comes back. */
export async function startReverseProxy(target: string, damage: Damage): Promise<{ url: string; close(): Promise<void> }> {
  const server = http.createServer((request, response) => {
    const url = request.url ?? '/';
    const onward = http.request(new URL(url, target), { method: request.method, headers: { ...request.headers, host: new URL(target).host } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => {
        const body = damage(url, Buffer.concat(parts));
        const { 'transfer-encoding': _, ...headers } = answer.headers;
        response.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': body.length }).end(body);
      });
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
