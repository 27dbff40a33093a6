/** Whether a certificate was logged when it was issued: what a relying party asks that takes only logged certificates. Pure; nothing is fetched. */
import { hash } from 'node:crypto';
import { issuanceProof } from '../../api/log-proofs.ts';
import { openCheckpoint, type CheckpointTrust, type VerifiedCheckpoint } from './checkpoint.ts';
import { fingerprintOf, ISSUANCE_KINDS, readEvent, type LoggedAuditEvent } from './event.ts';
import { LogError, type LogFault } from './log-error.ts';
import { leafHash, verifyInclusion } from './merkle.ts';
import { decodeBase64, parseVerifierKey, type NoteKey } from './note.ts';

/** Whom to believe: verifier keys (C2SP signed-note) as text, or read before. */
export interface LogTrust {
  logKey: string | NoteKey;
  witnesses?: readonly (string | NoteKey)[];
  /** How many of the witnesses must have cosigned; default 0. */
  quorum?: number;
}

export interface IssuanceProofRequest extends LogTrust {
  /** The certificate, DER. */
  certificate: Uint8Array;
  /** The answer of GET /v1/certificates/{fingerprint}/proof, as JSON was read from it; not yet believed. */
  proof: unknown;
}

/** What a proof that holds says. */
export interface LoggedIssuance {
  event: LoggedAuditEvent;
  /** Position in the log. */
  index: number;
  leafHash: Buffer;
  checkpoint: VerifiedCheckpoint;
}

/**
 * Judges the proof for this certificate: the event is an issuance of exactly it (SHA-256 of its DER), and is in the tree of a checkpoint of the log key that enough witnesses
 * cosigned. It says nothing of the certificate's chain, time or status. Never throws for what was given in `certificate` and `proof`.
 * @throws LogError `malformed-key` for verifier keys that cannot be read: a fault of the caller's configuration
 */
export function verifyIssuanceProof(request: IssuanceProofRequest): { logged: LoggedIssuance } | { fault: LogFault; detail: string } {
  const trust = logTrust(request);
  try {
    return { logged: judge(request, trust) };
  } catch (error) {
    if (error instanceof LogError) return { fault: error.fault, detail: error.message };
    throw error;
  }
}

/** Keys read, once for many questions. @throws LogError `malformed-key` */
export function logTrust({ logKey, witnesses = [], quorum = 0 }: LogTrust): CheckpointTrust {
  const read = (key: string | NoteKey, type: NoteKey['type']): NoteKey => {
    const known = typeof key === 'string' ? parseVerifierKey(key) : key;
    if (known.type !== type) throw new LogError('malformed-key', type === 'ed25519' ? 'the key of a witness was given for that of the log' : 'the key of a log was given for that of a witness');
    return known;
  };
  return { logKey: read(logKey, 'ed25519'), witnesses: witnesses.map((key) => read(key, 'cosignature')), quorum };
}

function judge({ certificate, proof }: IssuanceProofRequest, trust: CheckpointTrust): LoggedIssuance {
  const said = issuanceProof.safeParse(proof);
  if (!said.success) throw new LogError('malformed-proof', `this is not an issuance proof: ${said.error.issues[0]?.path.join('.') ?? ''} ${said.error.issues[0]?.message ?? ''}`.trim());
  const bytes = decodeBase64(said.data.event);
  if (!bytes) throw new LogError('malformed-proof', 'the event is not base64');
  const event = readEvent(bytes);
  const fingerprint = hash('sha256', certificate, 'hex');
  if (!ISSUANCE_KINDS.includes(event.kind) || event.outcome !== 'success') throw new LogError('other-event', 'the event is not that of an issuance');
  if (fingerprintOf(event) !== fingerprint || said.data.fingerprint !== fingerprint) throw new LogError('other-certificate', 'the event is of another certificate');
  const checkpoint = openCheckpoint(said.data.checkpoint, trust);
  const leaf = leafHash(bytes);
  verifyInclusion(said.data.inclusionProof.map((hex) => Buffer.from(hex, 'hex')), { index: said.data.index, size: checkpoint.size, leaf, root: checkpoint.root });
  return { event, index: said.data.index, leafHash: leaf, checkpoint };
}
