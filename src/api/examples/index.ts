import type { OperationId } from '../operations.ts';
import { ACCESS_EXAMPLES } from './access.ts';
import { ADMINISTRATION_EXAMPLES } from './administration.ts';
import { AGENT_EXAMPLES } from './agents.ts';
import { CERTIFICATE_EXAMPLES } from './certificates.ts';
import { FEED_EXAMPLES } from './feed.ts';
import type { OperationExample } from './example.ts';
import { KILL_EXAMPLES } from './kills.ts';
import { LOG_EXAMPLES } from './log.ts';
import { PUBLIC_EXAMPLES } from './public.ts';

/** Prose and examples of every operation; an operation without does not compile. */
export const EXAMPLES: { readonly [Id in OperationId]: OperationExample } = { ...AGENT_EXAMPLES, ...CERTIFICATE_EXAMPLES, ...FEED_EXAMPLES, ...ACCESS_EXAMPLES, ...ADMINISTRATION_EXAMPLES, ...KILL_EXAMPLES, ...LOG_EXAMPLES, ...PUBLIC_EXAMPLES };
