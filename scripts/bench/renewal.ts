/** Renewal: every operation another instance on a new mutual TLS connection with a full handshake; the handshake measured apart in the same way. */
import tls from 'node:tls';
import { requestOf, type Door } from './connection.ts';
import { serialsOf, type Enrolled } from './issuance.ts';
import { closedLoop, newConnections, openPool } from './loops.ts';
import { assertAll, measure, type Figures } from './measure.ts';
import { withBatchRows } from './metrics.ts';
import type { Stage } from './stage.ts';

const CONCURRENCY = 16;
/** The request that does nothing: what it costs on a connection that is open is taken off the handshake. */
const TRIVIAL = requestOf('GET', '/v1/trust-bundle');

export interface RenewalFigures {
  renewal: Figures;
  /** New connections with the trivial request. */
  connection: Figures;
  /** The trivial request alone. */
  trivial: Figures;
  /** Certificates a group commit on average. */
  batchRows: number;
  /** CPU µs of the service: connection less trivial request, and renewal less that. */
  handshake: number;
  afterHandshake: number;
  afterHandshakeTimesFloor: number;
}

export async function renewal(stage: Stage, instances: readonly Enrolled[]): Promise<{ figures: RenewalFigures; serials: string[] }> {
  const { service, csrs, sizes } = stage;
  const renewing = instances.slice(0, sizes.renewalWarmUp + sizes.renewal);
  const doors = renewing.map((instance): Door => ({
    port: service.doors.mtls.port,
    secure: tls.createSecureContext({ ca: service.rootPem, cert: instance.chain, key: instance.key.privateKey.export({ format: 'pem', type: 'pkcs8' }), minVersion: 'TLSv1.3' }),
  }));
  const requests = csrs.take(renewing.length).map(({ der }) => requestOf('POST', '/v1/certificates/renew', { 'content-type': 'application/pkcs10' }, der));
  const trivial = (count: number) => new Array<Buffer>(count).fill(TRIVIAL);

  const warm = await newConnections(doors, requests.slice(0, sizes.renewalWarmUp), CONCURRENCY);
  await newConnections(doors, trivial(sizes.renewalWarmUp), CONCURRENCY);
  const [renewed, batchRows] = await withBatchRows(service, () => measure(stage, () => newConnections(doors.slice(sizes.renewalWarmUp), requests.slice(sizes.renewalWarmUp), CONCURRENCY)));
  const connection = await measure(stage, () => newConnections(doors.slice(sizes.renewalWarmUp), trivial(sizes.renewal), CONCURRENCY));
  const pool = await openPool(doors[0] as Door, CONCURRENCY);
  await closedLoop(pool, trivial(sizes.trivial));
  const alone = await measure(stage, () => closedLoop(pool, trivial(sizes.trivial)));
  pool.close();

  for (const answers of [warm, renewed.answers]) assertAll(answers, 201);
  for (const answers of [connection.answers, alone.answers]) assertAll(answers, 200);
  const handshake = connection.figures.cpu.service - alone.figures.cpu.service;
  const afterHandshake = renewed.figures.cpu.service - handshake;
  const floor = (renewed.figures.floor + connection.figures.floor) / 2;
  const figures = {
    renewal: renewed.figures, connection: connection.figures, trivial: alone.figures, batchRows, handshake, afterHandshake, afterHandshakeTimesFloor: afterHandshake / floor,
  };
  return { figures, serials: [warm, renewed.answers].flatMap(serialsOf) };
}
