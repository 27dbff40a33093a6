import type { OperationExample } from './example.ts';

const LOG_ID = '01M7YV54K0Q3T8W2C5N7R9V1XA';
const LOG_KEY = 'signet.internal+6ae4d014+AVB7azXUVfZyJ1woMJpYJEa6AuAOzjUiHgHGz3wD+mTz';
const LOG_CHECKPOINT = 'signet.internal\n42\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— signet.internal auTQFPPKSVa8O+dcKG1LuuUPf94Ou3oHynmvgETHKJ061QYsMysZMbIVCtllNCZbGZkbYyHhIwJKsEpQls4bd2KfIAY=\n';

export const LOG_EXAMPLES = {
  getCheckpoint: { description: 'Size and root of the log, signed each second in which something happened. A checkpoint that anybody keeps shows later whether what it covers was changed.', answers: { 200: { 'text/plain': LOG_CHECKPOINT } } },
  getLogKey: { description: 'What checkpoints are checked with. It comes over plain http here: compare it with `GET /v1/audit/log`.', answers: { 200: { 'text/plain': `${LOG_KEY}\n` } } },
  getLogTile: { description: 'Every proof can be computed from tiles. Hashes tell nothing of the events.', params: { level: '0', tile: '000.p/1' }, answers: { 200: {} } },
  getLogEntries: { description: 'For auditors: who does what with whom is in them. A bundle whose events were purged is gone; the hashes stay in the tiles.', params: { tile: '000.p/1' }, answers: { 200: {} } },
  getAuditLog: {
    description: 'When `state` is `stopped` no checkpoint is signed until an operator acts; issuing goes on.',
    answers: {
      200: {
        'application/json': {
          id: LOG_ID, origin: 'signet.internal', key: LOG_KEY, state: 'running', reason: null, startedAt: '2026-11-21T10:41:41.300Z', size: 42, lagSeconds: 0,
          checkpoint: { size: 42, root: 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', at: '2026-11-21T10:42:11.012Z', cosignedBy: [] },
          witnesses: [], quorum: 0, earlier: [],
        },
      },
    },
  },
} satisfies Record<string, OperationExample>;
