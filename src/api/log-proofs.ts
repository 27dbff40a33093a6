import { z } from 'zod';

/** Octets of an entry of the log: its length is 16 bits in an entry bundle (C2SP tlog-tiles). */
const MAX_ENTRY_BASE64 = Math.ceil(65_535 / 3) * 4;
/** Characters of a signed note with all its signatures. */
const MAX_NOTE_CHARACTERS = 131_072;
/** Hashes of a proof: a tree of 2^53 leaves is 53 high. */
const MAX_PROOF = 64;

const hashOut = z.string().regex(/^[0-9a-f]{64}$/);
/** Leaf hash of an event, lower-case hexadecimal. */
export const leafHashOut = hashOut.describe('Leaf hash of the event, SHA-256(0x00 ‖ event), hexadecimal (RFC 6962 §2.1).');
export const rootOut = hashOut.describe('Root of the tree, hexadecimal (RFC 6962 §2.1).');
export const treeSize = z.int().min(0).describe('Leaves in the tree.');
export const leafIndex = z.int().min(0).describe('Position of the event in the tree, from 0: its number less 1.');
export const proofHashes = z.array(hashOut).max(MAX_PROOF);
export const checkpointNote = z.string().max(MAX_NOTE_CHARACTERS).describe('Checkpoint (C2SP tlog-checkpoint): origin, size and root, signed by the log, with the cosignatures of witnesses.');

/** An event of the log with all that shows that it is in it. */
export const loggedEvent = z.object({
  event: z.string().max(MAX_ENTRY_BASE64).describe('Canonical bytes of the event, base64: what is hashed into the tree.'),
  index: leafIndex,
  inclusionProof: proofHashes.describe('From the sibling of the leaf up to the child of the root, hexadecimal (RFC 6962 §2.1.1).'),
  checkpoint: checkpointNote,
});
export type LoggedEvent = z.output<typeof loggedEvent>;

/** Shows that a certificate was logged when it was issued. Versioned: a reader refuses what it does not know. */
export const issuanceProof = z
  .object({ format: z.literal('signet-issuance-proof/v1'), fingerprint: hashOut.describe('SHA-256 of the certificate, DER, hexadecimal.'), ...loggedEvent.shape })
  .meta({ id: 'IssuanceProof', description: 'Shows that a certificate was logged when it was issued, to whoever has the log key.' });
export type IssuanceProof = z.output<typeof issuanceProof>;
