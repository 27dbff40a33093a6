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
  caller: Pick<Caller, 'kind' | 'id'>;
  source: string;
}

export type AccessLog = (access: Access) => void;

/** Undefined when no request gets a line: then it costs nothing. `admin`: what strangers and agents send in numbers fills no disk. */
export function createAccessLog(config: Pick<Config, 'accessLog' | 'logLevel'>, log: Logger = createPlainLogger(config.logLevel)): AccessLog | undefined {
  if (config.accessLog === 'off' || !log.isLevelEnabled('info')) return undefined;
  const isAll = config.accessLog === 'all';
  return ({ caller, durationMs, ...access }) => {
    if (!isAll && caller.kind !== 'admin' && access.status < 500) return;
    log.info({ ...access, ms: Math.round(durationMs * 10) / 10, caller: `${caller.kind}:${caller.id}` }, 'request');
  };
}
