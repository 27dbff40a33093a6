import type { Config } from '../config/schema.ts';
import { createPlainLogger, type Logger } from '../core/log.ts';
import type { Caller } from './handler.ts';

/** An answered request. Nothing of it is text that a stranger chose: no path, query, header or name. */
export interface Access {
  door: string;
  /** Id of the operation of the route table. */
  operation: string;
  method: string;
  status: number;
  durationMs: number;
  /** As in the answer's Request-Id, the problem document and the audit event. */
  requestId: string;
  /** As in the request's `traceparent`. */
  traceId?: string | undefined;
  caller: Pick<Caller, 'kind' | 'id' | 'role' | 'relyingParty'>;
  source: string;
}

export type AccessLog = (access: Access) => void;

/** A relying party is one, by token or by certificate; a token made before there were registrations has only its own id. */
const nameOf = ({ kind, id, role, relyingParty }: Access['caller']): Pick<Caller, 'kind' | 'id'> => (role === 'relying-party' ? { kind: 'relying-party', id: relyingParty?.id ?? id } : { kind, id });

/** Undefined when no request gets a line: then it costs nothing. `admin`: what strangers, agents and relying parties send in numbers fills no disk. */
export function createAccessLog(config: Pick<Config, 'accessLog' | 'logLevel'>, log: Logger = createPlainLogger(config.logLevel)): AccessLog | undefined {
  if (config.accessLog === 'off' || !log.isLevelEnabled('info')) return undefined;
  const isAll = config.accessLog === 'all';
  return ({ caller, durationMs, traceId, ...access }) => {
    const who = nameOf(caller);
    if (!isAll && who.kind !== 'admin' && access.status < 500) return;
    log.info({ ...access, ...(traceId !== undefined && { traceId }), ms: Math.round(durationMs * 10) / 10, caller: `${who.kind}:${who.id}` }, 'request');
  };
}
