import type { StatusAnswer } from '../api/status.ts';
import type * as api from '../api/status.ts';
import { SignetError } from '../core/errors.ts';
import { statusEntityTag, statusOf, type CertificateStatus } from '../revocation/status.ts';
import { parseSerial } from '../x509/serial.ts';
import { iso, ok } from './answers.ts';
import type { Caller, HandlerOf } from './handler.ts';

/** GET /v1/status/{serial}: to be asked again each time (`no-cache`), cheaply by If-None-Match. */
export const getStatus: HandlerOf<typeof api.getStatus> = async (ctx, { params, caller, now }) => {
  const serial = parseSerial(params.serial);
  const [found] = (await statusOf(ctx, [serial], now)).values();
  if (!found) throw new SignetError('internal', 'a status is missing');
  const status = toldTo(caller, found);
  return ok(render(status), { etag: statusEntityTag([status]), 'cache-control': 'no-cache' });
};

/** POST /v1/status: many at once, in the order asked. */
export const listStatuses: HandlerOf<typeof api.listStatuses> = async (ctx, { body, caller, now }) => {
  const { statusBatchMax } = ctx.config;
  if (body.serials.length > statusBatchMax) {
    const fields = [{ path: '/serials', message: `at most ${statusBatchMax} serials in one request` }];
    throw new SignetError('invalid-request', `at most ${statusBatchMax} serials may be asked about at once`, { fields });
  }
  const serials = body.serials.map((serial) => parseSerial(serial));
  const found = await statusOf(ctx, serials, now);
  const statuses = serials.map((serial) => found.get(serial.toString('hex'))).filter((status) => status !== undefined);
  return ok({ statuses: statuses.map((status) => render(toldTo(caller, status))) });
};

/** Whose a certificate is, only those learn who may: staff, agents, and relying parties registered for it. */
function toldTo({ role, relyingParty }: Caller, status: CertificateStatus): CertificateStatus {
  if (role !== 'status-reader' && relyingParty?.mayAsk.includes('identity') !== false) return status;
  const { agentId: _, instanceId: __, ...rest } = status;
  return rest;
}

function render(status: CertificateStatus): StatusAnswer {
  const { revokedAt, notAfter, ...rest } = status;
  return { ...rest, ...(revokedAt ? { revokedAt: iso(revokedAt) } : {}), ...(notAfter ? { notAfter: iso(notAfter) } : {}) };
}
