/** The complete CRL: how long after a revocation the list that has it is stored, with everything else that is revoked in it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, requestOf } from './connection.ts';
import { cpuUse, peakMb } from './processes.ts';
import type { Stage } from './stage.ts';

export interface CrlFigures {
  entries: number;
  megabytes: number;
  /** From the answer to the revocation until the list is stored. */
  seconds: number;
  cpuSeconds: { service: number; postgres: number };
  /** Resident memory of each worker at its highest, since it started. */
  peakRssMb: number[];
}

const COMPLETE = -1;
const POLL_MS = 20;

/** Revokes the certificate `serial` (hexadecimal) of the issuer. @throws Error when no list with `atLeast` entries comes within `waitMs` */
export async function crl(stage: Stage, wanted: { issuerId: string; serial: string; atLeast: number; waitMs: number }): Promise<CrlFigures> {
  const { service, database } = stage;
  const before = cpuUse(service.pid, service.postmaster);
  const connection = await connect(service.doors.api);
  const headers = { authorization: `Bearer ${service.adminToken}`, 'content-type': 'application/json' };
  const answer = await connection.ask(requestOf('POST', `/v1/certificates/${wanted.serial}/revoke`, headers, Buffer.from('{}')));
  connection.close();
  if (answer.status !== 200) throw new Error(`a revocation was answered ${answer.status} ${answer.body.toString('utf8')}`);
  const started = performance.now();
  for (;;) {
    const [list] = await database.query<{ entries: number; octets: number }>('SELECT entries, octet_length(der) AS octets FROM crls WHERE issuer_id = $1 AND shard = $2', [wanted.issuerId, COMPLETE]);
    const elapsedMs = performance.now() - started;
    if (list && list.entries >= wanted.atLeast) {
      const after = cpuUse(service.pid, service.postmaster);
      return {
        entries: list.entries,
        megabytes: list.octets / 2 ** 20,
        seconds: elapsedMs / 1000,
        cpuSeconds: { service: (after.service - before.service) / 1e6, postgres: (after.postgres - before.postgres) / 1e6 },
        peakRssMb: service.workers.map(peakMb),
      };
    }
    if (elapsedMs > wanted.waitMs) throw new Error(`no list with ${wanted.atLeast} entries after ${wanted.waitMs / 1000} s: ${JSON.stringify(list)}`);
    await sleep(POLL_MS);
  }
}
