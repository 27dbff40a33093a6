import {
  ADMIN_TOKEN_ID, AGENT_ID, CHECKPOINT, EVENT_BYTES, EVENT_ID, FINDING_ID, INSTANCE_ID, ISSUER_ID, ISSUER_PEM, LEAF_HASH, LEAF_PEM, lastPage, PROOF, ROOT_HASH, ROOT_ID, ROOT_PEM, SERIAL, type OperationExample,
} from './example.ts';

const root = {
  id: ROOT_ID,
  kind: 'root',
  state: 'active',
  issuerId: null,
  serial: '01005f6cba71d98e7acf126fb681842ca8f5482b',
  fingerprint: 'f801b4e9f0d9b0eb3a3556cbaa237ae1af8fbff06caf5a540598cb8e43dc8359',
  subject: 'CN=Signet Root CA 3ZR0FVR3,O=Signet',
  algorithm: 'ecdsa-p256',
  shardCount: 1,
  notBefore: '2026-11-21T09:41:40.000Z',
  notAfter: '2036-11-18T10:41:40.000Z',
  createdAt: '2026-11-21T10:41:40.956Z',
  revokedAt: null,
  certificate: ROOT_PEM,
};
const issuer = {
  ...root,
  id: ISSUER_ID,
  kind: 'issuing',
  issuerId: ROOT_ID,
  serial: '01005297d1d871d9c6301f89e31b840caa4c65e2',
  fingerprint: '9de5b9a21ef6fa83ddc16b09a13938f5f659fe790bb94355b28e2a787ca88cb4',
  subject: 'CN=Signet Issuing CA BY5F0QNK,O=Signet',
  notAfter: '2027-11-21T10:41:40.000Z',
  certificate: ISSUER_PEM,
};
const prepared = {
  ...issuer,
  id: '01M7YVC3T0ZB5K8W2E9R4N6H1J',
  state: 'prepared',
  serial: '0100529a7c11d42e93f05b6a8d27c4e1f0936b52',
  fingerprint: '1f0a6c3de8b7459220c4f1d96e83ab57c2904fd18e6b35a7720d9fc46b81e35a',
  subject: 'CN=Signet Issuing CA E9R4N6H1J,O=Signet',
};
const authorities = (...items: unknown[]) => ({ 200: { 'application/json': { items } } });
const finding = {
  id: FINDING_ID, kind: 'successor-displaced', agentId: AGENT_ID, instanceId: INSTANCE_ID, serial: SERIAL, detail: {}, createdAt: '2026-11-21T10:43:05.330Z', resolvedAt: null,
};

export const ADMINISTRATION_EXAMPLES = {
  listAuthorities: { description: 'The certificates of the CA itself, oldest first, with their states: retired ones, too.', answers: authorities(root, issuer) },
  rotateAuthority: {
    description:
      'Rotation has two steps: `prepare` makes the next issuer and publishes it, `activate` makes it issue; the old one keeps its lists and OCSP until its last certificate has ended. Name the step: asked twice, it is refused with `authority-state-conflict` instead of being done twice. A job does both in time by itself.',
    requests: { 'application/json': { step: 'prepare' } },
    answers: authorities(root, issuer, prepared),
  },
  rolloverRoot: {
    description:
      'Makes a new root, its cross certificate under the old one, and a prepared issuer under it. The trust bundle holds both from now on; the new root takes over when its issuer is activated. Asked again before that it is refused with `authority-state-conflict`.',
    answers: authorities(root, issuer, { ...root, id: '01M7YVC3T0QH2V7X5M8D1K4P9S', state: 'prepared' }, { ...prepared, issuerId: '01M7YVC3T0QH2V7X5M8D1K4P9S' }),
  },
  getTrustBundle: {
    description: 'What relying parties trust: all roots that live. With `Accept: application/pem-certificate-chain` the PEM alone. Fetched over plain HTTP it must be compared with a fingerprint you have from elsewhere.',
    answers: {
      200: {
        'application/json': { trustDomain: 'signet.internal', roots: [{ id: ROOT_ID, serial: root.serial, fingerprint: root.fingerprint, notAfter: root.notAfter, certificate: ROOT_PEM }], pem: ROOT_PEM },
        'application/pem-certificate-chain': ROOT_PEM,
      },
    },
  },

  listAudit: {
    description: 'Events by ascending number, without gaps. The cursor never misses one: keep `nextCursor` and ask again later for what follows. A page may be empty before the end of the log.',
    query: { kind: 'certificate.revoked', limit: '100' },
    answers: {
      200: {
        'application/json': {
          items: [
            {
              n: '13', id: '01M7YV5B7BK5RH3JEEEJSZY3DJ', kind: 'certificate.revoked', outcome: 'success', at: '2026-11-21T10:41:47.755Z', actor: { kind: 'admin', id: ADMIN_TOKEN_ID },
              requestId: '01M7YV5B7BCKSXXC181A3HNBSS', source: '10.1.2.3', agentId: AGENT_ID, instanceId: INSTANCE_ID, serial: SERIAL, target: null, fingerprint: null, authority: null,
              onBehalfOf: null, credential: { kind: 'api-token', id: ADMIN_TOKEN_ID, role: 'operator' }, traceId: '4bf92f3577b34da6a3ce929d0e0e4736', detail: { reason: 'keyCompromise' },
            },
          ],
          nextCursor: 'WyJ3VmkwaGFIMmhPQk15V2VhIiwiMTQiXQ',
        },
      },
    },
  },
  getConsistencyProof: {
    description: 'Whoever kept a checkpoint of the first size can see that the log of the second size begins with it: nothing was changed, taken out or put in. Both roots are told, but only those of checkpoints that you have are worth anything.',
    query: { first: '5' },
    answers: { 200: { 'application/json': { first: 5, firstRoot: LEAF_HASH, second: 13, secondRoot: ROOT_HASH, proof: PROOF, checkpoint: CHECKPOINT } } },
  },
  getInclusionProof: {
    description: 'By the id of the event or its number. An event is provable once it is in a checkpoint, within some seconds; until then the answer is `event-not-logged` with Retry-After. Of a purged event only the number is known, and its hash can still be proven.',
    params: { event: EVENT_ID },
    answers: { 200: { 'application/json': { n: '12', id: EVENT_ID, index: 11, leafHash: LEAF_HASH, size: 13, root: ROOT_HASH, proof: PROOF, checkpoint: CHECKPOINT } } },
  },
  getAuditEvidence: {
    description:
      'All that shows an event to somebody who has no access to this service: its canonical bytes, its proof in a cosigned checkpoint, the certificates that it concerns, and by whose authority it was done. `signet audit verify-evidence` checks it with nothing but the root certificate and the log key. It holds what the event holds: nothing personal, but who did what.',
    params: { event: EVENT_ID },
    answers: {
      200: {
        'application/json': {
          format: 'signet-evidence/v1',
          madeAt: '2026-11-21T10:52:00.000Z',
          log: { origin: 'signet.internal', verifierKey: 'signet.internal+0a1b2c3d+AbbaUDEb3kWyvJ9Dnjr0pW8aGmFJH1yNCcU5Oe0ZkQ2L' },
          n: '12',
          event: EVENT_BYTES,
          index: 11,
          inclusionProof: PROOF,
          checkpoint: CHECKPOINT,
          certificates: [{ concerns: 'subject', serial: SERIAL, certificate: LEAF_PEM, chain: ISSUER_PEM, issuance: { event: EVENT_BYTES, index: 11, inclusionProof: PROOF } }],
          authority: { kind: 'certificate', id: SERIAL, grant: { event: EVENT_BYTES, index: 11, inclusionProof: PROOF } },
        },
      },
    },
  },
  listJobs: {
    description: 'What runs by itself, with its last run by any replica and its next one.',
    answers: {
      200: {
        'application/json': {
          items: [
            {
              name: 'rotate-issuers', schedule: '3 * * * *', nextRunAt: '2026-11-21T11:03:00.000Z',
              lastRun: { bucket: '2026-11-21T10:03:00.000Z', startedAt: '2026-11-21T10:41:41.378Z', finishedAt: '2026-11-21T10:41:41.393Z', outcome: 'succeeded', attempts: 1, error: null },
            },
          ],
        },
      },
    },
  },
  listFindings: {
    description: 'Signs of copied keys: `copied-key` when two holders of one key were seen, `successor-displaced` when a renewal was asked for again with another key.',
    query: { open: 'true' },
    answers: { 200: lastPage(finding) },
  },
  resolveFinding: {
    description: 'Says that somebody has looked at it. An instance in quarantine stays there: release it or revoke it.',
    params: { findingId: FINDING_ID },
    requests: { 'application/json': { reason: 'an answer was lost' } },
    answers: { 200: { 'application/json': { ...finding, resolvedAt: '2026-11-21T10:50:11.900Z' } } },
  },
} as const satisfies Record<string, OperationExample>;
