import { z } from 'zod';
import { checkpointNote, issuanceProof, leafHashOut, leafIndex, loggedEvent, proofHashes, rootOut, treeSize } from './log-proofs.ts';
import { operation } from './operation.ts';
import { id, nothing, optional, queryInteger, serialOut, sha256Hex, time } from './values.ts';

/** An event by its id or by its number. */
const eventParams = z.strictObject({
  event: z.string().regex(/^([0-7][0-9A-HJKMNP-TV-Z]{25}|[1-9][0-9]{0,14})$/, 'must be the id of an event or its number').describe('The event: its id, or its number.'),
});
/** Larger trees than this are in no database. */
const MAX_SIZE = 999_999_999_999_999;
const size = queryInteger(MAX_SIZE, 1);

const json = ['application/json'] as const;
const LOG_ERRORS = ['log-unavailable', 'log-size-invalid'] as const;
const reading = { method: 'get', tag: 'audit', permission: 'audit:read', body: nothing, consumes: [], creates: false } as const;

export const inclusionProof = z
  .object({
    n: z.string().describe('Number of the event.'),
    id: optional(id.describe('Id of the event; not there when the event was purged: its hash is what is left.')),
    index: leafIndex,
    leafHash: leafHashOut,
    size: treeSize,
    root: rootOut,
    proof: proofHashes.describe('From the sibling of the leaf up to the child of the root, hexadecimal (RFC 6962 §2.1.1).'),
    checkpoint: checkpointNote.nullable().describe('Checkpoint of this size; null where none of this size was signed, or it is no longer kept.'),
  })
  .meta({ id: 'InclusionProof', description: 'Shows that an event is in the tree of a size.' });
export type InclusionProofAnswer = z.output<typeof inclusionProof>;

export const getInclusionProof = operation({
  ...reading, id: 'getInclusionProof', path: '/v1/audit/{event}/proof', summary: 'Prove that an event is in the log', params: eventParams,
  query: z.strictObject({ size: optional(size.describe('Size of the tree to prove it in; without it that of the newest checkpoint.')) }),
  responses: { 200: { description: 'The proof, and the checkpoint of that size where there is one.', contentTypes: json, schema: inclusionProof } },
  errors: ['event-not-found', 'event-not-logged', ...LOG_ERRORS],
});

export const consistencyProof = z
  .object({
    first: treeSize,
    firstRoot: rootOut,
    second: treeSize,
    secondRoot: rootOut,
    proof: proofHashes.describe('Hashes of the proof, hexadecimal, as RFC 9162 §2.1.4 orders them.'),
    checkpoint: checkpointNote.nullable().describe('Checkpoint of the second size; null where none of this size was signed, or it is no longer kept.'),
  })
  .meta({ id: 'ConsistencyProof', description: 'Shows that a larger tree begins with a smaller one.' });
export type ConsistencyProofAnswer = z.output<typeof consistencyProof>;

export const getConsistencyProof = operation({
  ...reading, id: 'getConsistencyProof', path: '/v1/audit/consistency', summary: 'Prove that the log only grew between two sizes', params: nothing,
  query: z.strictObject({ first: size.describe('The smaller size.'), second: optional(size.describe('The larger size; without it that of the newest checkpoint.')) }),
  responses: { 200: { description: 'The proof.', contentTypes: json, schema: consistencyProof } },
  errors: [...LOG_ERRORS],
});

const pem = z.string().max(65_536);
/** An event that is proven by the checkpoint of the bundle. */
const provenEvent = loggedEvent.omit({ checkpoint: true });
export const EVIDENCE_FORMAT = 'signet-evidence/v1';
export const evidence = z
  .object({
    format: z.literal(EVIDENCE_FORMAT),
    madeAt: time.describe('When the bundle was made, by the clock of the service.'),
    log: z.object({ origin: z.string().max(256), verifierKey: z.string().max(512) }).describe('What log it is of. Whoever checks takes the key from elsewhere.'),
    n: z.string().describe('Number of the event.'),
    ...loggedEvent.shape,
    certificates: z
      .array(
        z.object({
          concerns: z.enum(['subject', 'actor']).describe('`subject`: the certificate that the event is about. `actor`: the one that who acted has shown.'),
          serial: serialOut,
          certificate: pem.describe('The certificate, PEM.'),
          chain: pem.describe('The certificates between it and the root, PEM.'),
          issuance: provenEvent.nullable().describe('The event of its issuance; null where that is no longer kept.'),
        }),
      )
      .max(2)
      .describe('Certificates that the event concerns, as far as they are kept.'),
    authority: z
      .object({
        kind: z.enum(['api-token', 'join-token', 'certificate', 'pinned-certificate', 'database-owner', 'service', 'none']).describe('What the actor acted by. `service`: Signet itself, as it is configured. `none`: by nothing that was accepted.'),
        id: optional(z.string().max(128).describe('Id of the token, serial or fingerprint of the certificate.')),
        role: optional(z.string().max(32).describe('Role of the token.')),
        grant: provenEvent.nullable().describe('The event by which it was given; null where there is none, or it is no longer kept.'),
      })
      .describe('By what authority the actor acted.'),
  })
  .meta({ id: 'Evidence', description: 'An event of the log with all that shows it to whoever has the root certificate and the log key.' });
export type Evidence = z.output<typeof evidence>;

export const getAuditEvidence = operation({
  ...reading, id: 'getAuditEvidence', path: '/v1/audit/{event}/evidence', summary: 'Take evidence of an event that can be checked without this service', params: eventParams, query: nothing,
  responses: { 200: { description: 'The bundle: `signet audit verify-evidence` checks it.', contentTypes: json, schema: evidence } },
  errors: ['event-not-found', 'event-not-logged', 'event-purged', ...LOG_ERRORS],
});

export const getIssuanceProof = operation({
  id: 'getIssuanceProof', method: 'get', path: '/v1/certificates/{fingerprint}/proof', tag: 'certificates', summary: 'Prove that a certificate was logged when it was issued',
  permission: 'status:read', params: z.strictObject({ fingerprint: sha256Hex.describe('SHA-256 of the whole certificate, DER.') }), query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'The event of its issuance, with proof and checkpoint.', contentTypes: json, schema: issuanceProof } },
  errors: ['certificate-not-found', 'event-not-logged', 'event-purged', ...LOG_ERRORS],
});
