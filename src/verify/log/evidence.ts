/** What evidence of an event proves to somebody who has the root certificate and the log key, and nothing else. Pure. */
import { hash } from 'node:crypto';
import { evidence as evidenceSchema, type Evidence } from '../../api/audit-proofs.ts';
import { parseCertificate, type Certificate } from '../../x509/certificate.ts';
import { DerError } from '../../x509/der/reader.ts';
import { decodePem, decodePemAll } from '../../x509/pem.ts';
import { verifyChain } from '../chain.ts';
import { openCheckpoint, type CheckpointTrust, type VerifiedCheckpoint } from './checkpoint.ts';
import { actedBy, fingerprintOf, ISSUANCE_KINDS, readEvent, type ActedBy, type LoggedAuditEvent } from './event.ts';
import { LogError } from './log-error.ts';
import { leafHash, verifyInclusion } from './merkle.ts';
import { decodeBase64 } from './note.ts';

export interface EvidenceTrust extends CheckpointTrust {
  roots: readonly Certificate[];
}

/** What was found. Both lists are sentences for people. */
export interface EvidenceReport {
  event: LoggedAuditEvent;
  index: number;
  leafHash: Buffer;
  checkpoint: VerifiedCheckpoint;
  proven: string[];
  unproven: string[];
}

type Proven = Pick<Evidence, 'event' | 'index' | 'inclusionProof'>;
type Shown = Evidence['certificates'][number];

/** Checks a bundle, as JSON was read from it. @throws LogError for the first thing in it that does not hold */
export function verifyEvidence(given: unknown, trust: EvidenceTrust): EvidenceReport {
  const read = evidenceSchema.safeParse(given);
  if (!read.success) throw new LogError('malformed-proof', `this is not evidence: ${read.error.issues[0]?.path.join('.') ?? ''} ${read.error.issues[0]?.message ?? ''}`.trim());
  const bundle = read.data;
  const checkpoint = openCheckpoint(bundle.checkpoint, trust);
  const { event, leaf } = included(bundle, checkpoint);
  if (bundle.n !== String(bundle.index + 1)) throw new LogError('other-event', 'the number of the event is not that of its place in the tree');
  const report: EvidenceReport = { event, index: bundle.index, leafHash: leaf, checkpoint, proven: [], unproven: [] };
  report.proven.push(
    `Event ${bundle.n} (${event.id}) says that ${event.kind}, ${event.outcome}, by ${event.actor.kind} ${event.actor.id}, at ${event.at}; these bytes are leaf ${bundle.index} of the log ${checkpoint.origin}.`,
    `The log key ${trust.logKey.name}+${trust.logKey.keyId.toString('hex')} signed the tree of ${checkpoint.size} events that holds it.`,
  );
  tellWitnesses(report, trust);
  for (const shown of bundle.certificates) tellCertificate(report, shown, trust);
  const subject = bundle.certificates.some(({ concerns }) => concerns === 'subject');
  if (event.serial !== undefined && !subject) report.unproven.push(`Certificate ${event.serial}, which the event is about, is not in the evidence: nothing is shown of it but its serial.`);
  tellAuthority(report, bundle.authority);
  report.unproven.push(
    `That ${event.at} was the time: it is what the clock of the service said.${report.checkpoint.cosignatures.length > 0 ? ' It cannot be later than the first cosignature.' : ''}`,
    'That what the event tells was done as it says: the log shows what the service recorded, and that it was not changed afterwards.',
  );
  if (event.personal) report.unproven.push('What the personal fields were: the event holds only salted hashes of them.');
  return report;
}

/** The event of a proof, in the tree of the checkpoint. @throws LogError */
function included(proven: Proven, checkpoint: VerifiedCheckpoint): { event: LoggedAuditEvent; leaf: Buffer } {
  const bytes = decodeBase64(proven.event);
  if (!bytes) throw new LogError('malformed-proof', 'the event is not base64');
  const leaf = leafHash(bytes);
  verifyInclusion(proven.inclusionProof.map((hex) => Buffer.from(hex, 'hex')), { index: proven.index, size: checkpoint.size, leaf, root: checkpoint.root });
  return { event: readEvent(bytes), leaf };
}

function tellWitnesses({ checkpoint, proven, unproven }: EvidenceReport, { quorum = 0 }: EvidenceTrust): void {
  for (const { name, time } of checkpoint.cosignatures) proven.push(`Witness ${name} saw this tree at ${new Date((time ?? 0) * 1000).toISOString()}, and that the log had only grown until then.`);
  if (checkpoint.cosignatures.length === 0) unproven.push('That everybody is shown the same log: no witness that you named cosigned the checkpoint. Compare it with one that you or others kept (signet audit verify --checkpoint).');
  else if (quorum === 0) unproven.push('That enough witnesses agree: no quorum was asked for (--quorum).');
}

/** The certificate is the one of its serial, leads to a root, and was logged when it was issued. @throws LogError */
function tellCertificate(report: EvidenceReport, shown: Shown, { roots }: EvidenceTrust): void {
  const { event, checkpoint, proven, unproven } = report;
  const { leaf, chain } = readCertificates(shown);
  const whose = shown.concerns === 'subject' ? 'the event is about' : 'the actor had shown';
  if (leaf.serial.toString('hex') !== shown.serial) throw new LogError('other-certificate', 'a certificate of the evidence has another serial than it says');
  const expected = shown.concerns === 'subject' ? event.serial : actedBy(event).id;
  if (shown.serial !== expected) throw new LogError('other-certificate', `the event does not name certificate ${shown.serial}`);
  const fingerprint = hash('sha256', leaf.der, 'hex');
  const said = shown.concerns === 'subject' ? fingerprintOf(event) : undefined;
  if (said !== undefined && said !== fingerprint) throw new LogError('other-certificate', 'the event is of another certificate with the same serial');
  // Whether the chain holds is asked for a time at which the certificate was valid; what the event says happened to it may be later.
  const at = new Date(Math.min(Math.max(Date.parse(event.at), leaf.notBefore.getTime()), leaf.notAfter.getTime()));
  const path = verifyChain(leaf, chain, roots, at);
  if ('fault' in path) throw new LogError('certificate-untrusted', `certificate ${shown.serial} does not lead to a root that you gave: ${path.fault}`);
  const names = leaf.subjectAlternativeName?.uris.join(', ') ?? '';
  proven.push(`Certificate ${shown.serial} (${names}), which ${whose}, was signed under the root ${path.path.at(-1)?.serial.toString('hex') ?? ''}; SHA-256 ${fingerprint}.`);
  if (!shown.issuance) {
    unproven.push(`That certificate ${shown.serial} was logged when it was issued: that event is not in the evidence.`);
    return;
  }
  const issuance = included(shown.issuance, checkpoint).event;
  if (!ISSUANCE_KINDS.includes(issuance.kind) || fingerprintOf(issuance) !== fingerprint) throw new LogError('other-event', `what is given as the issuance of certificate ${shown.serial} is another event`);
  proven.push(`It was logged when it was issued, at ${issuance.at}, as event ${shown.issuance.index + 1}.`);
}

const MAX_CHAIN = 10;

/** @throws LogError */
function readCertificates({ certificate, chain }: Shown): { leaf: Certificate; chain: Certificate[] } {
  try {
    const between = chain === '' ? [] : decodePemAll(chain, 'CERTIFICATE');
    if (between.length > MAX_CHAIN) throw new LogError('malformed-proof', 'a chain of the evidence is too long');
    return { leaf: parseCertificate(decodePem(certificate, 'CERTIFICATE')), chain: between.map((der) => parseCertificate(der)) };
  } catch (error) {
    if (error instanceof LogError) throw error;
    const why = error instanceof DerError || error instanceof Error ? error.message : 'it cannot be read';
    throw new LogError('malformed-proof', `a certificate of the evidence cannot be read: ${why}`);
  }
}

const WORDS: Readonly<Record<ActedBy['kind'], string>> = {
  'api-token': 'API token', 'join-token': 'join token', certificate: 'certificate', 'pinned-certificate': 'pinned certificate', 'database-owner': 'access to the database as its owner', service: 'the configuration of the service', none: 'nothing that was accepted',
};

/** By what the actor acted, and that it had been given before. @throws LogError */
function tellAuthority(report: EvidenceReport, authority: Evidence['authority']): void {
  const { event, checkpoint, proven, unproven } = report;
  const by = actedBy(event);
  if (authority.kind !== by.kind || authority.id !== by.id || authority.role !== by.role) throw new LogError('other-event', 'the evidence names another authority than the event');
  const what = `${WORDS[by.kind]}${by.id === undefined ? '' : ` ${by.id}`}${by.role === undefined ? '' : ` of role ${by.role}`}`;
  if (!authority.grant) {
    proven.push(`The actor acted by ${what}, as the event says.`);
    if (by.id !== undefined) unproven.push(`By which event ${what} was given: it is not in the evidence.`);
    return;
  }
  const grant = included(authority.grant, checkpoint).event;
  if (!gives(grant, by)) throw new LogError('other-event', `what is given as the origin of ${what} is another event`);
  if (authority.grant.index >= report.index) throw new LogError('other-event', `${what} was given only after it was used`);
  proven.push(`The actor acted by ${what}, which ${grant.actor.kind} ${grant.actor.id} had given at ${grant.at} (${grant.kind}, event ${authority.grant.index + 1}).`);
  unproven.push('That whoever acted was its rightful holder: it was shown, and accepted.');
}

/** Whether an event gave this authority. */
function gives(grant: LoggedAuditEvent, by: ActedBy): boolean {
  if (grant.outcome !== 'success' || by.id === undefined) return false;
  if (by.kind === 'certificate') return ISSUANCE_KINDS.includes(grant.kind) && grant.serial === by.id;
  if (by.kind === 'join-token') return grant.kind === 'join-token.created' && grant.target === by.id;
  if (by.kind !== 'api-token' || (by.role !== undefined && grant.detail?.['role'] !== by.role)) return false;
  return (grant.kind === 'admin-token.created' && grant.target === by.id) || (grant.kind === 'admin-token.rotated' && grant.detail?.['successor'] === by.id);
}
