import type * as api from '../api/agents.ts';
import type { AgentAnswer } from '../api/agents.ts';
import { activateAgent } from '../agents/activate.ts';
import { changeAgent } from '../agents/change.ts';
import { registerAgent } from '../agents/register.ts';
import { resumeAgent } from '../agents/resume.ts';
import { retireAgent } from '../agents/retire.ts';
import { suspendAgent } from '../agents/suspend.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { formatAgentSpiffeId } from '../core/spiffe-id.ts';
import { findAgentView, listAgentViews, type AgentView } from '../db/views/agents.ts';
import { created, iso, ok, pageSize } from './answers.ts';
import type { Answer, CreatingHandlerOf, HandlerOf } from './handler.ts';

/** POST /v1/agents */
export const register: CreatingHandlerOf<typeof api.registerAgent> = async (ctx, { origin, body, now }, tx) => {
  const agent = await registerAgent(ctx, tx, origin, body, now);
  return created(render(ctx, agent), { location: `/v1/agents/${agent.id}`, etag: etagOf(agent) });
};

/** GET /v1/agents */
export const list: HandlerOf<typeof api.listAgents> = async (ctx, { query, now }) => {
  const { cursor, limit, ...filters } = query;
  const { items, nextCursor } = await listAgentViews(ctx.db, filters, { cursor, limit: pageSize(ctx, limit), now });
  return ok({ items: items.map((agent) => render(ctx, agent)), nextCursor });
};

/** GET /v1/agents/{agentId} */
export const get: HandlerOf<typeof api.getAgent> = async (ctx, { params }) => {
  const agent = await findAgentView(ctx.db, params.agentId);
  if (!agent) throw new SignetError('agent-not-found', 'there is no agent with this id');
  return answer(ctx, agent);
};

/** PATCH /v1/agents/{agentId} */
export const change: HandlerOf<typeof api.changeAgent> = async (ctx, { origin, params, body, ifMatch, now }) =>
  answer(ctx, await changeAgent(ctx, origin, params.agentId, { changes: body, version: ifMatch, now }));

/** POST /v1/agents/{agentId}/activate */
export const activate: HandlerOf<typeof api.activateAgent> = async (ctx, { origin, params, body, now }) => answer(ctx, await activateAgent(ctx, origin, params.agentId, { reason: body.reason, now }));

/** POST /v1/agents/{agentId}/suspend */
export const suspend: HandlerOf<typeof api.suspendAgent> = async (ctx, { origin, params, body, now }) => answer(ctx, await suspendAgent(ctx, origin, params.agentId, { reason: body.reason, now }));

/** POST /v1/agents/{agentId}/resume */
export const resume: HandlerOf<typeof api.resumeAgent> = async (ctx, { origin, params, body, now }) => answer(ctx, await resumeAgent(ctx, origin, params.agentId, { reason: body.reason, now }));

/** POST /v1/agents/{agentId}/retire */
export const retire: HandlerOf<typeof api.retireAgent> = async (ctx, { origin, params, body, now }) => answer(ctx, await retireAgent(ctx, origin, params.agentId, { reason: body.reason, note: body.note, now }));

const etagOf = (agent: AgentView): string => `"${agent.version}"`;

const answer = (ctx: Context, agent: AgentView): Answer => ok(render(ctx, agent), { etag: etagOf(agent) });

function render(ctx: Context, agent: AgentView): AgentAnswer {
  return {
    id: agent.id,
    name: agent.name,
    state: agent.state,
    stateReason: agent.stateReason,
    killIds: [...agent.killIds],
    ownerEmail: agent.ownerEmail,
    deputyEmail: agent.deputyEmail,
    purpose: agent.purpose,
    riskClass: agent.riskClass,
    environment: agent.environment,
    labels: { ...agent.labels },
    dnsNames: [...agent.dnsNames],
    profile: agent.profile,
    ttlCapSeconds: agent.ttlCapSeconds,
    spiffeId: formatAgentSpiffeId(ctx.config.trustDomain, agent.id),
    version: agent.version,
    createdAt: iso(agent.createdAt),
    updatedAt: iso(agent.updatedAt),
  };
}
