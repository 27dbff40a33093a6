import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { openssl } from './openssl.ts';

/** A server as one should not be, for graders to find out: old versions, every cipher, a short RSA key, a root in the middle of its chain, another certificate for another name. */
export async function startWeakServer(folder: string): Promise<tls.Server> {
  const make = async (...args: string[]) => {
    const { code, stderr } = await openssl(folder, ...args);
    if (code !== 0) throw new Error(stderr);
  };
  const read = (name: string) => fs.readFileSync(path.join(folder, name), 'utf8');
  await make('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'root.key', '-out', 'root.pem', '-subj', '/CN=Weak Root', '-days', '1');
  await make('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'other.key', '-out', 'other.pem', '-subj', '/CN=other.example', '-days', '1');
  await make('req', '-newkey', 'rsa:1024', '-nodes', '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=localhost');
  await make('x509', '-req', '-in', 'leaf.csr', '-CA', 'root.pem', '-CAkey', 'root.key', '-CAcreateserial', '-out', 'leaf.pem', '-days', '1');
  const server = tls.createServer(
    {
      key: read('leaf.key'), cert: read('leaf.pem') + read('other.pem') + read('root.pem'),
      minVersion: 'TLSv1', maxVersion: 'TLSv1.2', ciphers: 'ALL:COMPLEMENTOFALL:@SECLEVEL=0', ecdhCurve: 'secp224r1:P-256',
    },
    (socket) => socket.on('error', () => undefined).resume(),
  );
  server.addContext('other.example', { key: read('other.key'), cert: read('other.pem') });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
