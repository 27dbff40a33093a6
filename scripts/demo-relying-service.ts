/** A small relying service: serves agents over mutual TLS, and asks Signet about the status of each caller, with its own certificate. */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';

const [folder = '', port = '', signetUrl = ''] = process.argv.slice(2);
const read = (name: string) => readFileSync(path.join(folder, name), 'utf8');
const ca = read('trust-bundle.pem');
const identity = { cert: read('chain.pem'), key: read('key.pem'), ca };
const toSignet = new https.Agent({ ...identity, keepAlive: true });

/** What Signet says of a serial now; anything but an answer counts as "cannot know". */
function statusOf(serial: string): Promise<string> {
  return new Promise((resolve) => {
    https
      .get(`${signetUrl}/v1/status/${serial}`, { agent: toSignet, timeout: 2_000 }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(response.statusCode === 200 ? (JSON.parse(text) as { status: string }).status : `cannot know (${response.statusCode})`));
      })
      .on('error', () => resolve('cannot know'));
  });
}

https
  .createServer({ ...identity, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    const { serialNumber, subjectaltname } = (request.socket as TLSSocket).getPeerCertificate();
    void statusOf(serialNumber.padStart(40, '0')).then((status) => {
      const agent = /URI:spiffe:\/\/[^/]+\/(\S+)/.exec(subjectaltname ?? '')?.[1] ?? 'nobody';
      response.writeHead(status === 'good' ? 200 : 403, { 'content-type': 'text/plain', connection: 'close' });
      response.end(status === 'good' ? `hello ${agent}\n` : `refused: ${status}\n`);
    });
  })
  .listen(Number(port), '127.0.0.1');
