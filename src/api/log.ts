import { z } from 'zod';
import { operation, UNCHANGED } from './operation.ts';
import { id, nothing, time } from './values.ts';

const cached = ['etag', 'cache-control'] as const;
const open = { method: 'get', permission: 'public', tag: 'log', params: nothing, query: nothing, body: nothing, consumes: [], creates: false, errors: [] } as const;
const bytes = (description: string, contentType: string) => ({ 200: { description, contentTypes: [contentType], headers: cached }, 304: UNCHANGED });

export const getCheckpoint = operation({ ...open, id: 'getCheckpoint', path: '/tlog/checkpoint', summary: 'The newest checkpoint of the audit log (C2SP tlog-checkpoint)', responses: bytes('A signed note with the signature of the log and those of its witnesses.', 'text/plain') });
export const getLogKey = operation({ ...open, id: 'getLogKey', path: '/tlog/key', summary: 'The key of the audit log (C2SP signed-note verifier key)', responses: bytes('One line. Get it once by a way that you trust, and keep it.', 'text/plain') });
const tile = z.string().max(64).describe('`<N>[.p/<W>]` of C2SP tlog-tiles: the index in groups of three digits, all but the last with an x before, and the width of a partial tile.');
export const getLogTile = operation({
  ...open, id: 'getLogTile', path: '/tlog/tile/{level}/{tile}', summary: 'Hashes of the audit log (C2SP tlog-tiles)',
  params: z.strictObject({ level: z.string().max(16).describe('Level of the tile, 0 to 63.'), tile }), responses: bytes('Up to 256 hashes of 32 octets. They never change.', 'application/octet-stream'),
});
export const getLogEntries = operation({
  ...open, id: 'getLogEntries', path: '/tlog/tile/entries/{tile}', summary: 'Events of the audit log as its leaves are made of them (C2SP tlog-tiles entry bundle)', permission: 'audit:read',
  params: z.strictObject({ tile }), responses: { 200: { description: 'Up to 256 canonical events, each behind its length in two octets.', contentTypes: ['application/octet-stream'], headers: ['cache-control'] } },
});

/** How a witness stands. */
const witness = z.object({
  name: z.string(),
  url: z.string().nullable().describe('Null: it is no longer in the configuration.'),
  state: z.enum(['cosigning', 'failing', 'ahead', 'unasked']).describe('`ahead`: it knows a larger checkpoint than the log has; the database may have been set back.'),
  size: z.int().describe('Events in the last checkpoint that it cosigned, or says that it has.'),
  problem: z.string().nullable(),
  askedAt: time.nullable(),
  cosignedAt: time.nullable(),
});
export const auditLog = z
  .object({
    id,
    origin: z.string().describe('First line of its checkpoints: the trust domain, or that and an id after a restart.'),
    key: z.string().describe('Its verifier key (C2SP signed-note).'),
    state: z.enum(['running', 'stopped']),
    reason: z.string().nullable().describe('Why it stopped.'),
    startedAt: time,
    size: z.int().describe('Events in the tree.'),
    lagSeconds: z.int().describe('Age of the oldest event that no checkpoint covers; 0: all are covered.'),
    checkpoint: z.object({ size: z.int(), root: z.string().describe('Base64.'), at: time, cosignedBy: z.array(z.string()) }).nullable().describe('The newest that was signed; `/tlog/checkpoint` shows it when enough witnesses have cosigned it.'),
    witnesses: z.array(witness),
    quorum: z.int(),
    earlier: z.array(z.object({ id, origin: z.string(), key: z.string(), startedAt: time, endedAt: time, reason: z.string() })).describe('Logs that ended before.'),
  })
  .meta({ id: 'AuditLog' });
export type AuditLogAnswer = z.output<typeof auditLog>;
export const getAuditLog = operation({
  ...open, id: 'getAuditLog', path: '/v1/audit/log', summary: 'The audit log as a Merkle log: key, size, newest checkpoint, witnesses', permission: 'audit:read',
  responses: { 200: { description: 'How it stands.', contentTypes: ['application/json'], schema: auditLog } },
});
