/** How the https doors speak TLS, graded from outside. A grader that finds fault with nothing would be found out here. */
import { afterAll, expect, test } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';
import type { SignetOptions } from '../support/signet-process.ts';
import { gradeTls } from '../support/tls-grade.ts';
import { startWeakServer } from '../support/weak-tls-server.ts';

/** Some twenty handshakes by a process of their own each. */
const LONG_MS = 120_000;
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => fs.rmSync(folder, { recursive: true })));
const newFolder = (): string => {
  const folder = temporaryFolder('signet-tls-');
  folders.push(folder);
  return folder;
};

async function withService(env: NonNullable<SignetOptions['env']>, work: (service: Service, folder: string) => Promise<void>): Promise<void> {
  const service = await startService({ env });
  const folder = newFolder();
  fs.writeFileSync(path.join(folder, 'root.pem'), service.signet.rootPem);
  try {
    await work(service, folder);
  } finally {
    await service.close();
  }
}

/** The leaf a door shows. */
const shownBy = ({ signet }: Service): Promise<X509Certificate | undefined> =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({ port: signet.ports.api, host: '127.0.0.1', ca: signet.rootPem }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.destroy();
    });
    socket.once('error', reject);
  });

test('by default: TLS 1.3 only, nothing to complain of at either door', () =>
  withService({}, async ({ signet }, folder) => {
    for (const port of [signet.ports.api, signet.ports.mtls]) expect(await gradeTls({ port, folder, lowest: 'TLSv1.3' })).toEqual([]);
  }), LONG_MS);

test('with TLS 1.2 by config, and an Ed25519 authority: still nothing, and the key of the doors is ECDSA', () =>
  withService({ SIGNET_TLS_MIN_VERSION: 'TLSv1.2', SIGNET_AUTHORITY_KEY_ALGORITHM: 'ed25519' }, async (service, folder) => {
    expect(await gradeTls({ port: service.signet.ports.api, folder, lowest: 'TLSv1.2' })).toEqual([]);
    const certificate = await shownBy(service);
    expect([certificate?.publicKey.asymmetricKeyType, certificate?.publicKey.asymmetricKeyDetails?.namedCurve, certificate?.signatureAlgorithm]).toEqual(['ec', 'prime256v1', 'ED25519']);
  }), LONG_MS);

test('the grader finds what is wrong with a server that is wrong in every way', async () => {
  const folder = newFolder();
  const server = await startWeakServer(folder);
  const faults = await gradeTls({ port: (server.address() as AddressInfo).port, folder, lowest: 'TLSv1.3' });
  server.close();
  for (const fault of [
    /^protocol: TLSv1 is spoken/, /^protocol: TLSv1\.1 is spoken/, /^protocol: TLSv1\.2 is spoken/, /^protocol: TLSv1\.3 is not spoken/,
    /^cipher: \S+ is accepted, which is not one/, /^group: X25519 is not known/, /^group: one of less than 128 bits/,
    /^renegotiation: a client may ask/, /^ALPN: http\/1\.1 is not chosen/, /^ALPN: a client that speaks something else/, /^names: /,
    /^chain: certificate 0 is not issued by the next one/, /^chain: certificate 2 is its own issuer/, /^key: certificate 0 has a weak one/, /^key: the server shows rsa/,
  ]) expect(faults).toContainEqual(expect.stringMatching(fault));
}, LONG_MS);
