import type * as api from '../api/instances.ts';
import type { InstanceAnswer } from '../api/instances.ts';
import { quarantineInstance, releaseInstance, revokeInstance } from '../agents/instances.ts';
import { SignetError } from '../core/errors.ts';
import { findAgentView } from '../db/views/agents.ts';
import { findInstanceView, listInstanceViews, type InstanceView } from '../db/views/instances.ts';
import { iso, ok, pageSize } from './answers.ts';
import type { HandlerOf } from './handler.ts';

/** GET /v1/agents/{agentId}/instances */
export const list: HandlerOf<typeof api.listInstances> = async (ctx, { params, query }) => {
  const { cursor, limit, ...filters } = query;
  if (!(await findAgentView(ctx.db, params.agentId))) throw new SignetError('agent-not-found', 'there is no agent with this id');
  const { items, nextCursor } = await listInstanceViews(ctx.db, { ...filters, agentId: params.agentId }, { cursor, limit: pageSize(ctx, limit) });
  return ok({ items: items.map(render), nextCursor });
};

/** GET /v1/instances/{instanceId} */
export const get: HandlerOf<typeof api.getInstance> = async (ctx, { params }) => {
  const instance = await findInstanceView(ctx.db, params.instanceId);
  if (!instance) throw new SignetError('instance-not-found', 'there is no instance with this id');
  return ok(render(instance));
};

/** POST /v1/instances/{instanceId}/quarantine */
export const quarantine: HandlerOf<typeof api.quarantineInstance> = async (ctx, { origin, params, body, now }) =>
  ok(render(await quarantineInstance(ctx, origin, params.instanceId, { reason: body.reason, now })));

/** POST /v1/instances/{instanceId}/release */
export const release: HandlerOf<typeof api.releaseInstance> = async (ctx, { origin, params, body, now }) =>
  ok(render(await releaseInstance(ctx, origin, params.instanceId, { reason: body.reason, now })));

/** POST /v1/instances/{instanceId}/revoke */
export const revoke: HandlerOf<typeof api.revokeInstance> = async (ctx, { origin, params, body, now }) =>
  ok(render(await revokeInstance(ctx, origin, params.instanceId, { reason: body.reason, now })));

function render(instance: InstanceView): InstanceAnswer {
  return {
    id: instance.id,
    agentId: instance.agentId,
    state: instance.state,
    generation: instance.generation,
    tipSerial: instance.tipSerial.toString('hex'),
    quarantineReason: instance.quarantineReason,
    killIds: [...instance.killIds],
    enrolledBy: instance.enrolledBy,
    enrolledFrom: instance.enrolledFrom,
    createdAt: iso(instance.createdAt),
    updatedAt: iso(instance.updatedAt),
  };
}
