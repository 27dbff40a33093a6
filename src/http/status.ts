import type { StatusAnswer } from '../api/status.ts';
import type * as api from '../api/status.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { findAgentView } from '../db/views/agents.ts';
import { findIdentityView, listSerialsOf, serialByFingerprint, type Holder } from '../db/views/holders.ts';
import { findInstanceView } from '../db/views/instances.ts';
import { statusEntityTag, statusOf, type CertificateStatus } from '../revocation/status.ts';
import { parseSerial } from '../x509/serial.ts';
import { iso, ok, pageSize } from './answers.ts';
import type { Answer, Caller, HandlerOf } from './handler.ts';

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

/** GET /v1/status/agents/{agentId} */
export const listAgentStatuses: HandlerOf<typeof api.listAgentStatuses> = async (ctx, { params, query, caller, now }) => {
  assertMayIdentify(caller);
  if (!(await findAgentView(ctx.db, params.agentId))) throw new SignetError('agent-not-found', 'there is no agent with this id');
  return pageOfStatuses(ctx, params, { query, now });
};

/** GET /v1/status/instances/{instanceId} */
export const listInstanceStatuses: HandlerOf<typeof api.listInstanceStatuses> = async (ctx, { params, query, caller, now }) => {
  assertMayIdentify(caller);
  if (!(await findInstanceView(ctx.db, params.instanceId))) throw new SignetError('instance-not-found', 'there is no instance with this id');
  return pageOfStatuses(ctx, params, { query, now });
};

/** GET /v1/status/fingerprints/{sha256} */
export const getStatusByFingerprint: HandlerOf<typeof api.getStatusByFingerprint> = async (ctx, { params, caller, now }) => {
  const serial = await serialByFingerprint(ctx.db, Buffer.from(params.sha256, 'hex'));
  if (!serial) throw new SignetError('certificate-not-found', 'no certificate with this fingerprint was issued here, or it was cleared away after it had expired');
  const [found] = (await statusOf(ctx, [serial], now)).values();
  if (!found) throw new SignetError('internal', 'a status is missing');
  const status = toldTo(caller, found);
  return ok(render(status), { etag: statusEntityTag([status]), 'cache-control': 'no-cache' });
};

/** GET /v1/identity/{serial}: whose a certificate is does not change, so that one answer does for its life. */
export const getIdentity: HandlerOf<typeof api.getIdentity> = async (ctx, { params, caller }) => {
  assertMayIdentify(caller);
  const serial = parseSerial(params.serial);
  const found = await findIdentityView(ctx.db, serial);
  if (!found) throw new SignetError('certificate-not-found', 'no certificate of an agent with this serial was issued here, or it was cleared away after it had expired');
  const { notAfter, ...rest } = found;
  return ok({ serial: serial.toString('hex'), ...rest, notAfter: iso(notAfter) });
};

/** The serials are only where to look: what is said of each is read as that of any serial, so that an acknowledged revocation is never told good. */
async function pageOfStatuses(ctx: Context, holder: Holder, { query, now }: { query: { cursor?: string; limit?: number }; now: Date }): Promise<Answer> {
  const limit = Math.min(pageSize(ctx, query.limit), ctx.config.statusBatchMax);
  const { items, nextCursor } = await listSerialsOf(ctx.db, holder, { cursor: query.cursor, limit, now });
  const found = await statusOf(ctx, items, now);
  return ok({ items: items.map((serial) => found.get(serial.toString('hex'))).filter((status) => status !== undefined).map(render), nextCursor });
}

/** Which certificates belong to whom is what `identity` is for. @throws SignetError `permission-denied` */
export function assertMayIdentify(caller: Caller): void {
  if (!mayIdentify(caller)) throw new SignetError('permission-denied', 'to ask whose certificates are, a relying party must be registered for identity');
}

/** Whose a certificate is, only those learn who may: staff, agents, and relying parties registered for it. */
function toldTo(caller: Caller, status: CertificateStatus): CertificateStatus {
  if (mayIdentify(caller)) return status;
  const { agentId: _, instanceId: __, ...rest } = status;
  return rest;
}

const mayIdentify = ({ role, relyingParty }: Caller): boolean => role !== 'status-reader' && relyingParty?.mayAsk.includes('identity') !== false;

function render(status: CertificateStatus): StatusAnswer {
  const { revokedAt, notAfter, ...rest } = status;
  return { ...rest, ...(revokedAt ? { revokedAt: iso(revokedAt) } : {}), ...(notAfter ? { notAfter: iso(notAfter) } : {}) };
}
