import type { Config, ConfigKey } from './schema.ts';

/** A rule over several keys; applied when all of `keys` are valid by themselves. `says` is the fault, told of the first key. */
export interface Rule {
  keys: readonly [ConfigKey, ...ConfigKey[]];
  holds(config: Config): boolean;
  says: string;
}

const SECONDS_PER_DAY = 86_400;
const isProduction = (config: Config): boolean => config.nodeEnv === 'production';

/** A free port (0) is never the same as another one. */
function doorsDiffer(config: Config): boolean {
  const doors = [config.apiListen, config.mtlsListen, config.statusListen, config.operationsListen].filter((door) => door.port !== 0);
  return new Set(doors.map((door) => `${door.host.toLowerCase()}:${door.port}`)).size === doors.length;
}

/** A serial in a JSON body (40 digits, quotes, comma, blank), and what stands around them. */
const SERIAL_OCTETS = 44;
const BODY_OCTETS = 100;

/** A burst of less than a second's worth would refuse callers that keep to the rate. */
const burstOverRate = (burst: ConfigKey, rate: ConfigKey): Rule => ({ keys: [burst, rate], holds: (c) => Number(c[burst]) >= Number(c[rate]), says: `must be no less than ${rate}` });

/** What the keys must be to each other. */
export const RULES: readonly Rule[] = [
  { keys: ['ownerDatabaseUrl', 'databaseUrl'], holds: (c) => c.ownerDatabaseUrl === undefined || c.databaseUrl !== undefined, says: 'needs DATABASE_URL' },
  { keys: ['listenDatabaseUrl', 'databaseUrl'], holds: (c) => c.listenDatabaseUrl === undefined || c.databaseUrl !== undefined, says: 'needs DATABASE_URL' },
  { keys: ['kekFile', 'kekPassphraseFile'], holds: (c) => c.kekFile === undefined || c.kekPassphraseFile === undefined, says: 'cannot be given together with SIGNET_KEK_PASSPHRASE_FILE' },
  {
    keys: ['kekFile', 'kekPassphraseFile', 'databaseUrl', 'nodeEnv'],
    holds: (c) => (c.databaseUrl === undefined && !isProduction(c)) || c.kekFile !== undefined || c.kekPassphraseFile !== undefined,
    says: 'must be given, or SIGNET_KEK_PASSPHRASE_FILE, with DATABASE_URL or NODE_ENV=production; the same to every replica (a new key: openssl rand -base64 32)',
  },
  { keys: ['faultBarriersDir', 'nodeEnv'], holds: (c) => c.faultBarriersDir === undefined || !isProduction(c), says: 'is for tests and refused with NODE_ENV=production' },
  { keys: ['apiListen', 'mtlsListen', 'statusListen', 'operationsListen'], holds: doorsDiffer, says: 'must not be the address of another door: two doors listen on the same one' },
  { keys: ['headersTimeoutMs', 'requestTimeoutMs'], holds: (c) => c.headersTimeoutMs <= c.requestTimeoutMs, says: 'must not be longer than requestTimeoutMs' },
  { keys: ['stallTimeoutMs', 'statementTimeoutMs'], holds: (c) => c.stallTimeoutMs > c.statementTimeoutMs, says: 'must be longer than statementTimeoutMs: a request that waits for the database is no stalled client' },
  burstOverRate('sourceReadBurst', 'sourceReadRate'),
  burstOverRate('sourceChangeBurst', 'sourceChangeRate'),
  burstOverRate('sourceIssueBurst', 'sourceIssueRate'),
  burstOverRate('sourceStatusBurst', 'sourceStatusRate'),
  burstOverRate('sourceHealthBurst', 'sourceHealthRate'),
  burstOverRate('sourceConnectionBurst', 'sourceConnectionRate'),
  burstOverRate('callerReadBurst', 'callerReadRate'),
  burstOverRate('callerChangeBurst', 'callerChangeRate'),
  burstOverRate('callerStatusBurst', 'callerStatusRate'),
  burstOverRate('agentIssueBurst', 'agentIssueRate'),
  burstOverRate('joinTokenIssueBurst', 'joinTokenIssueRate'),
  { keys: ['issuerValidityDays', 'rootValidityDays'], holds: (c) => c.issuerValidityDays < c.rootValidityDays, says: 'must be shorter than rootValidityDays' },
  { keys: ['issuerPrepareBeforeDays', 'issuerValidityDays'], holds: (c) => c.issuerPrepareBeforeDays < c.issuerValidityDays, says: 'must be shorter than issuerValidityDays' },
  { keys: ['issuerActivateBeforeDays', 'issuerPrepareBeforeDays'], holds: (c) => c.issuerActivateBeforeDays < c.issuerPrepareBeforeDays, says: 'must be shorter than issuerPrepareBeforeDays: relying parties need time to learn the successor' },
  { keys: ['authorityBackdateSeconds', 'leafBackdateSeconds'], holds: (c) => c.authorityBackdateSeconds >= c.leafBackdateSeconds, says: 'must be no less than leafBackdateSeconds: no certificate is valid before its issuer' },
  { keys: ['crlValiditySeconds', 'crlIntervalSeconds'], holds: (c) => c.crlValiditySeconds >= 3 * c.crlIntervalSeconds, says: 'must be at least three times crlIntervalSeconds: past half the life of a list /readyz is red, and the next list needs time' },
  { keys: ['ocspMaxAgeSeconds', 'ocspValiditySeconds'], holds: (c) => c.ocspMaxAgeSeconds <= c.ocspValiditySeconds, says: 'must not be longer than ocspValiditySeconds' },
  { keys: ['responderValidityDays', 'ocspValiditySeconds'], holds: (c) => c.responderValidityDays * SECONDS_PER_DAY >= 4 * c.ocspValiditySeconds, says: 'must be at least four times ocspValiditySeconds: no answer outlives its responder' },
  {
    keys: ['certificateRetentionDays', 'crlIntervalSeconds', 'crlValiditySeconds'],
    holds: (c) => c.certificateRetentionDays * SECONDS_PER_DAY >= c.crlIntervalSeconds + c.crlValiditySeconds,
    says: 'must cover crlIntervalSeconds + crlValiditySeconds: a revoked certificate stays on one list past its expiry',
  },
  { keys: ['auditWitnessQuorum', 'auditWitnesses'], holds: (c) => c.auditWitnessQuorum <= c.auditWitnesses.length, says: 'must not be more than there are auditWitnesses' },
  { keys: ['joinTokenTtlSeconds', 'joinTokenMaxTtlSeconds'], holds: (c) => c.joinTokenTtlSeconds <= c.joinTokenMaxTtlSeconds, says: 'must not be longer than joinTokenMaxTtlSeconds' },
  { keys: ['adminTokenTtlSeconds', 'adminTokenMaxTtlSeconds'], holds: (c) => c.adminTokenTtlSeconds <= c.adminTokenMaxTtlSeconds, says: 'must not be longer than adminTokenMaxTtlSeconds' },
  { keys: ['adminTokenOverlapSeconds', 'adminTokenOverlapMaxSeconds'], holds: (c) => c.adminTokenOverlapSeconds <= c.adminTokenOverlapMaxSeconds, says: 'must not be longer than adminTokenOverlapMaxSeconds' },
  { keys: ['commitBatchMax', 'commitQueueMax'], holds: (c) => c.commitBatchMax <= c.commitQueueMax, says: 'must not be more than commitQueueMax' },
  {
    keys: ['statusBatchMax', 'jsonMaxBytes'],
    holds: (c) => c.statusBatchMax * SERIAL_OCTETS + BODY_OCTETS <= c.jsonMaxBytes,
    says: `must fit into jsonMaxBytes, ${SERIAL_OCTETS} octets a serial and ${BODY_OCTETS} more: raise that as well`,
  },
  { keys: ['pageSizeDefault', 'pageSizeMax'], holds: (c) => c.pageSizeDefault <= c.pageSizeMax, says: 'must not be more than pageSizeMax' },
  { keys: ['idempotencySecretTtlSeconds', 'idempotencyTtlSeconds'], holds: (c) => c.idempotencySecretTtlSeconds <= c.idempotencyTtlSeconds, says: 'must not be longer than idempotencyTtlSeconds' },
];
