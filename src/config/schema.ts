import { z } from 'zod';
import { LOG_LEVELS } from '../core/log.ts';
import {
  addressBlocks, baseUrl, choice, count, days, displayName, listenAddress, machinePath, milliseconds, octets, optionalDatabaseUrl, optionalPath, parallelism, perSecond, seconds, trustDomain, witnesses, word,
} from './values.ts';

export type { ListenAddress } from './values.ts';

/** Every key of the configuration by the chapter of docs/config.md it stands in. */
export const CHAPTERS = {
  'Database and data': {
    databaseUrl: optionalDatabaseUrl('PostgreSQL 14 or newer, as the service role: one that does not own the tables.', 'unset: Signet runs a PostgreSQL of its own in the data directory'),
    ownerDatabaseUrl: optionalDatabaseUrl('The same database as the role that owns the tables; used for migrations and partitions only.', 'as DATABASE_URL: then the service could change its audit log, and says so loudly'),
    listenDatabaseUrl: optionalDatabaseUrl('A direct connection for LISTEN, where DATABASE_URL leads through a pooler in transaction mode.', 'as DATABASE_URL'),
    databaseConnections: count(10, [1, 500], 'Connections of one worker to the database, and two more to listen; the first worker opens three more at times. All that `workers` and replicas open must be less than the server allows.'),
    statementTimeoutMs: milliseconds(10_000, [100, 600_000], 'Longest time one SQL statement may take.'),
    workers: parallelism(8, [1, 64], 'Processes that serve over the same ports and together are one replica. With more than one, another process supervises them.'),
    workerSilenceSeconds: seconds(30, [0, 3_600], 'A worker that serves and for this long does not answer its supervisor hangs: it is killed and replaced. Time in which the supervisor stood still itself (a suspended machine) does not count. 0: never.'),
    dataDir: machinePath('`/var/lib/signet` as root, else `signet` in `$XDG_DATA_HOME` or `~/.local/share`', 'Where the embedded database, its key-encryption key and the bootstrap token are kept.'),
    diskFreeMinBytes: octets(1_073_741_824, [0, 1_099_511_627_776], 'With less free space than this for the embedded database /readyz warns.'),
    configFile: optionalPath('A JSON object with keys of this page by their names in the first column. The environment wins over it.'),
  },
  Names: {
    trustDomain: trustDomain('signet.internal', 'SPIFFE trust domain of every agent. Cannot be changed once certificates are issued.'),
    organization: displayName('Signet', 'Organization (O) in the names of the authorities.'),
    publicUrl: baseUrl(['http', 'https'], 'http://127.0.0.1:8080', 'How others reach the status door: written into certificates (CRL, OCSP and issuer addresses). Plain http is usual: what it serves is signed.'),
    apiUrl: baseUrl(['https'], 'https://127.0.0.1:8443', 'How others reach the API door: written into documents and error links; its host is in the TLS certificate.'),
    mtlsUrl: baseUrl(['https'], 'https://127.0.0.1:8444', 'How agents reach the mutual TLS door; its host is in the TLS certificate.'),
  },
  Doors: {
    apiListen: listenAddress({ host: '127.0.0.1', port: 8443 }, 'API door (https).'),
    mtlsListen: listenAddress({ host: '127.0.0.1', port: 8444 }, 'Mutual TLS door (https, client certificate required).'),
    statusListen: listenAddress({ host: '127.0.0.1', port: 8080 }, 'Public status door (http): CRL, OCSP, issuers, trust bundle.'),
    operationsListen: listenAddress({ host: '127.0.0.1', port: 9464 }, 'Operations door (http): metrics and health. Not for the public.'),
    tlsMinVersion: choice(['TLSv1.3', 'TLSv1.2'], 'TLSv1.3', 'Lowest TLS version accepted. With 1.2 only ECDHE key exchange and AEAD ciphers.'),
    hstsSeconds: seconds(31_536_000, [0, 63_072_000], 'How long a browser keeps to https with the host of `apiUrl` (Strict-Transport-Security). Not sent when `publicUrl` is http at the same host: it would bind every port. 0: never sent.'),
    trustedProxies: addressBlocks(
      'Proxies that end TLS or HTTP in front of the API, mutual TLS and status doors: from these addresses `X-Forwarded-For` names the source and `Client-Cert` (RFC 9440) the client certificate. **Everything** that can send from them can speak as anybody: never the address of a proxy that passes TCP through (docs/proxies.md).',
      'unset: no header of a proxy is believed',
    ),
    headersTimeoutMs: milliseconds(10_000, [100, 600_000], 'Time for the head of a request to arrive.'),
    requestTimeoutMs: milliseconds(30_000, [100, 600_000], 'Time for a whole request to arrive.'),
    keepAliveTimeoutMs: milliseconds(65_000, [0, 600_000], 'How long an idle connection is kept.'),
    stallTimeoutMs: milliseconds(120_000, [100, 600_000], 'How long a connection with a request on it may go without an octet moving: a client that does not read its answer.'),
    responseTimeoutMs: milliseconds(300_000, [100, 3_600_000], 'Time for a client to take an answer of more than 64 KiB (a large CRL): one that reads a little now and then.'),
    maxConnections: count(20_000, [1, 1_000_000], 'Open connections of one door, divided among the workers. All doors of a worker never take more than its limit of open files leaves (`ulimit -n`).'),
    maxConnectionsPerSource: count(2_000, [0, 1_000_000], 'Open connections of one source address (IPv6: one /64) with all doors but operations, divided among the workers; an idle one costs 15 KB, 65 KB with TLS. Trusted proxies have no limit. 0: no limit.'),
    maxPipelined: count(16, [1, 1_000], 'Requests of one connection under way at once (pipelining). A connection that sends more without waiting is closed.'),
    maxHeaderBytes: octets(16_384, [2_048, 262_144], 'Size of the head of a request.'),
    maxHeaders: count(100, [10, 2_000], 'Header fields of a request.'),
    drainDelaySeconds: seconds(0, [0, 600], 'How long after SIGTERM the doors still take connections, while /readyz already says no: give a load balancer time to notice.'),
    drainSeconds: seconds(10, [0, 600], 'How long requests under way may take after the doors have closed.'),
  },
  'Key store': {
    kekFile: optionalPath('The key-encryption key: 32 octets as base64 or hex, the same for every replica. Seals the private keys in the database.', 'unset: made in the data directory with the embedded database; required otherwise'),
    kekPassphraseFile: optionalPath('Instead of `kekFile`: a passphrase (at least 16 characters) from which the key-encryption key is derived by scrypt.'),
  },
  Authorities: {
    authorityKeyAlgorithm: choice(['ecdsa-p256', 'ecdsa-p384', 'ed25519'], 'ecdsa-p256', 'Key of new authorities, responders and TLS certificates.'),
    nameConstraints: choice(['off', 'noncritical', 'critical'], 'off', 'Name constraints in new issuing certificates; see the table below before turning them on.'),
    rootValidityDays: days(3_650, [30, 10_950], 'Life of a new root.'),
    issuerValidityDays: days(365, [2, 3_650], 'Life of a new issuing certificate. Leaves never outlive their issuer.'),
    issuerPrepareBeforeDays: days(90, [1, 3_650], 'A successor is made and published in the bundle this long before the active issuer ends.'),
    issuerActivateBeforeDays: days(60, [1, 3_650], 'The successor starts to issue this long before the active issuer ends.'),
    responderValidityDays: days(7, [1, 365], 'Life of an OCSP responder certificate; renewed after half of it.'),
    tlsValidityDays: days(30, [1, 365], "Life of Signet's own TLS certificates; renewed after half of it."),
    leafBackdateSeconds: seconds(60, [0, 3_600], 'How far notBefore of a leaf lies before its issue, for clocks that are behind.'),
    authorityBackdateSeconds: seconds(3_600, [0, 86_400], 'The same for authority certificates; no less than for leaves.'),
    clockSkewSeconds: seconds(60, [0, 300], 'How far ahead notBefore of a presented certificate may lie: replicas whose clocks differ. Expiry has no tolerance.'),
    profilesFile: optionalPath('JSON file with profiles that replace or add to the built-in ones.'),
  },
  Revocation: {
    crlShards: count(1, [1, 4_096], 'CRL shards of an issuer made from now on, fixed for its life: raise it, then rotate the issuer. 1: certificates name the complete list. About one for 8,000 revocations at a time (128 for a million) keeps a shard under 0.5 MB.'),
    crlCopyDir: optionalPath('Where each complete list that is published is copied to, outside the database: after a restore the copies tell what was revoked since (docs/backup.md).', '`crl-copies` in the data directory with the embedded database; unset otherwise'),
    crlIntervalSeconds: seconds(900, [10, 86_400], 'How often a list is published when nothing was revoked.'),
    crlValiditySeconds: seconds(14_400, [60, 2_592_000], 'nextUpdate of a list. At least three times the interval.'),
    ocspValiditySeconds: seconds(600, [10, 86_400], 'nextUpdate of an OCSP answer.'),
    ocspMaxAgeSeconds: seconds(60, [0, 86_400], 'How long an HTTP cache may keep an OCSP answer.'),
    ocspMaxCertIds: count(16, [1, 1_000], 'Certificates asked about in one OCSP request.'),
    ocspSigningMax: count(1_000, [1, 100_000], 'OCSP answers that wait for their signature at once in each worker. Who asks for more is told tryLater.'),
    ocspCacheEntries: count(50_000, [0, 10_000_000], 'OCSP answers kept in the memory of each worker.'),
    feedStreamsMax: count(10_000, [1, 1_000_000], 'Streams of the live feed that one replica serves at once, divided among its workers.'),
    feedStreamsPerCallerMax: count(2_000, [1, 1_000_000], 'The same of one relying party or API token, divided among the workers.'),
    feedBufferBytes: octets(65_536, [4_096, 16_777_216], 'Octets that wait for one reader of the feed; more is sent when it has taken them.'),
    feedSlowReaderMs: milliseconds(5_000, [100, 600_000], 'A reader that has not taken what waits for it after this time is sent away, to come back and catch up.'),
    snapshotsMax: count(4, [1, 1_000], 'Snapshots of the feed that one worker makes at once; each takes a connection to the database. Others are told to come back; one caller gets all but one of them.'),
    enforcementLeaseSeconds: seconds(30, [2, 86_400], 'How long an enforcement point counts as live after its last acknowledgement.'),
    enforcementPointsMax: count(1_000, [1, 1_000_000], 'Enforcement points of one relying party; for one more, the one that ended the longest ago is forgotten.'),
    statusBatchMax: count(1_000, [1, 10_000], 'Serials in one request for their status.'),
    killConfirmAbove: count(100, [0, 1_000_000], 'Agents and certificates that one kill may hit without a second confirmation. A kill of everything always needs one.'),
    killLookMax: count(200_000, [100, 10_000_000], 'Live certificates, and agents, that are looked at to say what a kill would hit. Where there are more, what is said is a lower bound, and the kill needs its confirmation.'),
  },
  'Audit log': {
    auditCopyDir: optionalPath('Where each checkpoint of the audit log is copied to before it is shown, outside the database: when that is set back or edited, the log stops instead of signing something else (docs/audit-log.md). One file a day is kept.', '`log-copies` in the data directory with the embedded database; unset otherwise'),
    auditWitnesses: witnesses('Witnesses that are asked to cosign each checkpoint (C2SP tlog-witness): `<submission prefix> <verifier key>`, with commas between.', 'unset: none'),
    auditWitnessQuorum: count(0, [0, 16], 'How many witnesses must have cosigned a checkpoint before it is shown at `/tlog/checkpoint`. 0: it is shown at once.'),
    outgoingHttp: addressBlocks('Networks to which outgoing requests may go by plain http, besides the loopback addresses. Everything else is https.', 'unset: none'),
  },
  'Enrollment and renewal': {
    joinTokenTtlSeconds: seconds(3_600, [1, 2_592_000], 'Life of a join token when the request does not say.'),
    joinTokenMaxTtlSeconds: seconds(604_800, [1, 2_592_000], 'Longest life of a join token.'),
    replayWindowSeconds: seconds(600, [0, 600], 'How long a lost answer can be had again with the same join token and key.'),
    csrMaxBytes: octets(16_384, [1_024, 65_536], 'Size of a certificate signing request (DER).'),
    maxNames: count(16, [1, 256], 'Alternative names in a request.'),
    commitBatchMax: count(128, [1, 1_000], 'Certificates in one group commit.'),
    commitQueueMax: count(4_096, [1, 100_000], 'Issuances that may wait for a commit in one worker; beyond it the answer is 503.'),
  },
  'Admins and relying parties': {
    adminTokenTtlSeconds: seconds(7_776_000, [60, 315_360_000], 'Life of an API token when the request does not say; also that of the bootstrap admin token.'),
    adminTokenMaxTtlSeconds: seconds(31_536_000, [60, 315_360_000], 'Longest life of an API token. There are none without an end: rotate in time.'),
    adminTokenOverlapSeconds: seconds(600, [0, 604_800], 'How long a rotated API token goes on when the request does not say.'),
    adminTokenOverlapMaxSeconds: seconds(86_400, [0, 604_800], 'Longest time a rotated API token may go on.'),
    adminTokenWarnDays: days(14, [0, 365], '/readyz and the log warn this long before the last API token that can make others ends.'),
    relyingPartyCertificatesMax: count(16, [1, 1_000], 'Pinned certificates of one relying party.'),
    relyingPartyTokensMax: count(16, [1, 1_000], 'Usable API tokens of one relying party. As many again may be in the overlap of their rotation.'),
    statusAccess: choice(['identified', 'open'], 'identified', 'Who may ask for JSON status: `identified` is API tokens, registered relying parties and agents; `open` is anyone, who is then told no agent or instance.'),
  },
  // For two cores, where issuing costs about 1.5 ms of CPU, database included, a list or a change 2-5 ms, a status 0.1-0.3 ms, a handshake 1 ms: no source and
  // no caller gets more than about a third of a core for long. Bursts are herds behind one NAT: a few thousand agents that start with one deployment, a cluster of
  // relying parties that comes back. A renewal an hour is 200 x 3,600 agents behind one address. Behind a proxy that does not tell the source, all are one.
  'Rate limits': {
    sourceReadRate: perSecond(100, 'Requests of class `read` (lists, single records, pages without login) from one source address. IPv6 addresses count by their /64. 0 here or below: no limit.'),
    sourceReadBurst: count(500, [1, 1_000_000], 'The same at once, after a quiet time.'),
    sourceChangeRate: perSecond(100, 'Requests of class `change` from one source address.'),
    sourceChangeBurst: count(500, [1, 1_000_000], 'The same at once.'),
    sourceIssueRate: perSecond(200, 'Enrollments and renewals from one source address.'),
    sourceIssueBurst: count(2_000, [1, 1_000_000], 'The same at once.'),
    sourceStatusRate: perSecond(2_000, 'Requests of class `status` (JSON status, OCSP, CRL, trust bundle of the status door) from one source address.'),
    sourceStatusBurst: count(10_000, [1, 1_000_000], 'The same at once.'),
    sourceHealthRate: perSecond(50, 'Requests of /healthz from one source address, except at the operations door: nothing is limited there.'),
    sourceHealthBurst: count(200, [1, 1_000_000], 'The same at once.'),
    sourceConnectionRate: perSecond(300, 'New connections from one source address with the TLS doors: a handshake costs more than most requests. Over it they are closed unheard.'),
    sourceConnectionBurst: count(3_000, [1, 1_000_000], 'The same at once.'),
    callerReadRate: perSecond(100, 'Requests of class `read` of one authenticated caller (API token, relying party), wherever it calls from.'),
    callerReadBurst: count(500, [1, 1_000_000], 'The same at once.'),
    callerChangeRate: perSecond(100, 'Requests of class `change` of one authenticated caller.'),
    callerChangeBurst: count(500, [1, 1_000_000], 'The same at once.'),
    callerStatusRate: perSecond(2_000, 'Requests of class `status` of one authenticated caller.'),
    callerStatusBurst: count(10_000, [1, 1_000_000], 'The same at once.'),
    agentIssueRate: perSecond(10, 'Enrollments and renewals of one agent: all its instances together.'),
    agentIssueBurst: count(500, [1, 1_000_000], 'The same at once: as many instances can start together.'),
    joinTokenIssueRate: perSecond(5, 'Enrollments with one join token, good or not.'),
    joinTokenIssueBurst: count(50, [1, 1_000_000], 'The same at once.'),
    rateLimitKeys: count(50_000, [1_000, 10_000_000], 'Sources, callers, agents or join tokens that one limit remembers; about 100 octets each. When all are in use, those closest to their full burst are forgotten first.'),
    credentialFailures: count(20, [0, 10_000], 'Join tokens, and API tokens, from one source address that may fail before the address has to wait: a second at first, twice as long for each further failure. 0: no waiting.'),
    credentialFailureWindowSeconds: seconds(60, [1, 86_400], 'Quiet time that forgives `credentialFailures` failures.'),
    credentialWaitMaxSeconds: seconds(60, [1, 86_400], 'Longest wait after failures. Honest callers behind the same address wait as well.'),
  },
  'Requests': {
    jsonMaxBytes: octets(65_536, [1_024, 1_048_576], 'Size of a JSON body.'),
    jsonMaxDepth: count(16, [2, 64], 'Depth of a JSON body.'),
    pageSizeDefault: count(50, [1, 1_000], 'Rows in a page when the request does not say.'),
    pageSizeMax: count(200, [1, 1_000], 'Most rows in a page.'),
    auditScanMax: count(10_000, [100, 1_000_000], 'Audit events looked at for one page when a filter has no index; the page then ends early, and its cursor leads on.'),
    labelsMax: count(32, [0, 256], 'Labels of an agent.'),
    idempotencyTtlSeconds: seconds(86_400, [60, 604_800], 'How long the answer to an Idempotency-Key is kept.'),
    idempotencySecretTtlSeconds: seconds(540, [1, 540], 'The same for answers that hold a secret; they are kept sealed, and are gone within 10 minutes.'),
  },
  Retention: {
    partitionDaysAhead: days(14, [2, 366], 'Partitions made ahead, one a day of expiry.'),
    certificateRetentionDays: days(7, [1, 3_650], 'How long expired certificates are kept before their partition is dropped.'),
    joinTokenRetentionDays: days(30, [1, 3_650], 'How long spent and expired join tokens are kept.'),
    adminTokenRetentionDays: days(90, [1, 3_650], 'How long API tokens are listed after they expired or were revoked.'),
    keyRetentionDays: days(400, [1, 36_500], 'How long a public key stays known after its last certificate, so that nobody uses it again.'),
    findingRetentionDays: days(90, [1, 3_650], 'How long a finding is listed after it was resolved; one that nobody resolved stays at least as long as its certificate is kept.'),
    agentRetentionDays: days(400, [1, 36_500], 'How long a retired agent is kept. Its id is never used again; the audit log keeps what it did.'),
    killRetentionDays: days(400, [1, 36_500], 'How long a kill is listed after it was resumed, or ended for ever. One that still suspends something stays.'),
    checkpointRetentionDays: days(7, [1, 3_650], 'How long every checkpoint of the audit log is kept in the database; of older ones the last of each day stays.'),
    jobRunRetentionDays: days(30, [1, 3_650], 'How long job runs are listed.'),
    feedRetentionDays: days(30, [1, 3_650], 'How long the revocation feed can be followed from the past; also how long lost enforcement points are kept.'),
    acknowledgementRetentionDays: days(7, [1, 3_650], 'How long it is kept who acknowledged which event of the feed and when: one row an event and enforcement point. No longer than the feed itself.'),
  },
  'Log and environment': {
    logLevel: choice(LOG_LEVELS, 'info', 'Least severe records that are written.'),
    accessLog: choice(['admin', 'all', 'off'], 'admin', 'Requests that get a line at level info: those of API tokens of people and all that end in a fault of ours (5xx), every request, or none. A line costs 8 µs.'),
    nodeEnv: word('development', '`production` refuses to make secrets by itself.'),
    faultBarriersDir: optionalPath('For fault tests only: where a process stops at named steps. Refused in production.'),
  },
} as const;

/** THE schema of the configuration: flat, unknown keys refused. */
export const configSchema = z.strictObject({
  ...CHAPTERS['Database and data'],
  ...CHAPTERS.Names,
  ...CHAPTERS.Doors,
  ...CHAPTERS['Key store'],
  ...CHAPTERS.Authorities,
  ...CHAPTERS.Revocation,
  ...CHAPTERS['Audit log'],
  ...CHAPTERS['Enrollment and renewal'],
  ...CHAPTERS['Admins and relying parties'],
  ...CHAPTERS['Rate limits'],
  ...CHAPTERS.Requests,
  ...CHAPTERS.Retention,
  ...CHAPTERS['Log and environment'],
});

/** The validated configuration (config/load.ts); frozen. Units stand in the names. */
export type Config = Readonly<z.output<typeof configSchema>>;
export type ConfigKey = keyof Config;

/** Names of the keys, in the order of docs/config.md. */
export const CONFIG_KEYS = Object.keys(configSchema.shape) as ConfigKey[];

const OWN_NAMES: Partial<Record<ConfigKey, string>> = { databaseUrl: 'DATABASE_URL', nodeEnv: 'NODE_ENV' };

/** The environment variable of a key: `crlShards` is SIGNET_CRL_SHARDS. */
export function environmentName(key: ConfigKey): string {
  return OWN_NAMES[key] ?? `SIGNET_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
