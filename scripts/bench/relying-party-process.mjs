/** The process that the bench of the SDK watches: two servers on the same keys, one of them guarded. With `bare` the SDK is not even loaded. */
import https from 'node:https';

const { bare, options, keys } = JSON.parse(process.env.SDK_BENCH);
const handler = (request, response) => response.end('served');
const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
const answer = (message) => process.send(message);

let rp;
const tls = { requestCert: true, rejectUnauthorized: false, ...keys };
const ports = { plain: await listen(https.createServer(tls, handler)) };
if (!bare) {
  const { createRelyingParty } = await import('../../dist/client/relying-party/index.js');
  rp = await createRelyingParty(options);
  const server = https.createServer({ ...tls, ...rp.tlsOptions() }, handler);
  rp.attach(server);
  ports.guarded = await listen(server);
}
process.on('message', () => answer({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss(), state: rp?.state() }));
answer({ ports });
