import { clearAdminTokens } from './clear-admin-tokens.ts';
import { clearAgents } from './clear-agents.ts';
import { clearAuthorityKeys } from './clear-authority-keys.ts';
import { clearCheckpoints } from './clear-checkpoints.ts';
import { clearFeed } from './clear-feed.ts';
import { clearFindings } from './clear-findings.ts';
import { clearIdempotencyRecords } from './clear-idempotency-records.ts';
import { clearInstances } from './clear-instances.ts';
import { clearJobRuns } from './clear-job-runs.ts';
import { clearJoinTokens } from './clear-join-tokens.ts';
import { clearKills } from './clear-kills.ts';
import { clearPublicKeys } from './clear-public-keys.ts';
import { countCertificates } from './count-certificates.ts';
import { finishKills } from './finish-kills.ts';
import type { Job } from './job.ts';
import { partitions } from './partitions.ts';
import { publishCrls } from './publish-crls.ts';
import { rotateFeedKey } from './rotate-feed-key.ts';
import { rotateIssuers } from './rotate-issuers.ts';
import { rotateResponders } from './rotate-responders.ts';
import { rotateTls } from './rotate-tls.ts';
import { warnOfLastAdmin } from './warn-of-last-admin.ts';

/** THE schedule (UTC): name · cron · handler. GET /v1/jobs shows it with last and next runs. */
export const JOBS: readonly Job[] = [
  { name: 'publish-crls', cron: '*/10 * * * * *', backfill: 0, ...publishCrls },
  { name: 'rotate-issuers', cron: '3 * * * *', backfill: 2, run: rotateIssuers },
  { name: 'rotate-responders', cron: '*/10 * * * *', backfill: 2, run: rotateResponders },
  { name: 'rotate-tls', cron: '*/10 * * * *', backfill: 2, run: rotateTls },
  { name: 'rotate-feed-key', cron: '*/10 * * * *', backfill: 2, run: rotateFeedKey },
  { name: 'partitions', cron: '17 */2 * * *', backfill: 2, run: partitions },
  { name: 'count-certificates', cron: '* * * * *', backfill: 0, run: countCertificates },
  { name: 'clear-idempotency-records', cron: '*/30 * * * * *', backfill: 0, ...clearIdempotencyRecords },
  { name: 'clear-join-tokens', cron: '23 * * * *', backfill: 1, run: clearJoinTokens },
  { name: 'clear-admin-tokens', cron: '33 3 * * *', backfill: 1, run: clearAdminTokens },
  { name: 'warn-of-last-admin', cron: '11 * * * *', backfill: 0, run: warnOfLastAdmin },
  { name: 'clear-feed', cron: '37 * * * *', backfill: 1, run: clearFeed },
  { name: 'clear-public-keys', cron: '43 2 * * *', backfill: 1, run: clearPublicKeys },
  { name: 'clear-findings', cron: '7 3 * * *', backfill: 1, run: clearFindings },
  { name: 'clear-instances', cron: '23 3 * * *', backfill: 1, run: clearInstances },
  { name: 'clear-agents', cron: '31 3 * * *', backfill: 1, run: clearAgents },
  { name: 'clear-authority-keys', cron: '47 * * * *', backfill: 1, run: clearAuthorityKeys },
  { name: 'clear-job-runs', cron: '53 3 * * *', backfill: 1, run: clearJobRuns },
  { name: 'finish-kills', cron: '*/5 * * * * *', backfill: 0, ...finishKills },
  { name: 'clear-checkpoints', cron: '41 3 * * *', backfill: 1, run: clearCheckpoints },
  { name: 'clear-kills', cron: '13 3 * * *', backfill: 1, run: clearKills },
];
