import { createHash } from 'node:crypto';
import type { BarrierName } from '../core/barrier.ts';
import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { encodeAuditEvent } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { prepare } from '../authorities/prepare.ts';
import { findPublicKey, type CertificateCommit } from '../db/commit.ts';
import { decide, type Decision, type Registration } from '../policy/decide.ts';
import { applyProfile } from '../profiles/apply.ts';
import type { Profile } from '../profiles/profile.ts';
import { leafHash } from '../verify/log/merkle.ts';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { verifyCsr, type CertificateRequest } from '../x509/csr.ts';
import { encodeName } from '../x509/names.ts';
import { makeSerial, serialHex } from '../x509/serial.ts';
import type { Extension } from '../x509/extensions/extension.ts';
import type { CertificateIntent } from '../x509/tbs.ts';
import { issuerFacts, shardOf } from './issuer-facts.ts';
import { askedFor, type AskedFor } from './csr-rules.ts';
import type { CommitOutcome } from './commit-queue.ts';
import { outcomeUnknown, refusal, RegistrationChanged } from './refusal.ts';

/** Everything that was decided about who asks, before a certificate is made. */
export interface IssueRequest {
  kind: 'enroll' | 'renew';
  registration: Registration;
  profile: Profile;
  csr: CertificateRequest;
  asked: AskedFor;
  instanceId: string;
  generation: number;
  tokenId: string | null;
  oldSerial: Buffer | null;
  idempotency: CertificateCommit['idempotency'];
  now: Date;
}

/** A certificate that is durable and may be handed out. */
export interface IssuedCertificate {
  der: Buffer;
  serial: Buffer;
  issuerId: string;
  agentId: string;
  instanceId: string;
  profile: string;
  /** As it stands in the certificate: the profile may have changed since an answer that is given again. */
  spiffeId: string;
  generation: number;
  notBefore: Date;
  notAfter: Date;
  issuedAt: Date;
  /** The stored answer of an earlier request, given again. */
  replayed: boolean;
  /** Where its issuance is logged; null when that event was purged, which only an answer given again can meet. */
  receipt: IssuanceReceipt | null;
}

/** Names the audit event of an issuance, so that whoever has it can ask for the proof that it is in the log. */
export interface IssuanceReceipt {
  eventId: string;
  /** SHA-256(0x00 ‖ event), RFC 6962 §2.1. */
  leafHash: Buffer;
}

/**
 * Issues one certificate. The numbers are those of docs/issuance-cycle.md.
 * Nothing leaves the process before step 7 has committed; nothing is signed that was not linted (DESIGN §2).
 * @throws SignetError csr-*, key-*, names-not-granted, ttl-not-granted, and whatever lost a race at the commit (refusal.ts)
 */
export async function issueCertificate(ctx: Context, origin: Origin, request: IssueRequest): Promise<IssuedCertificate> {
  const { kind, registration, profile, csr, now } = request;
  const startedMs = ctx.clock.monotonicMs();
  const step = (name: 'prepared' | 'signed' | 'committed') => ctx.barrier(`${kind === 'enroll' ? 'issue' : 'renew'}:${name}` as BarrierName);

  // Step 1: proof of possession. The CSR's signature shows that the asker holds the private key.
  verifyCsr(csr);

  // Step 2: policy decides on registration, profile and request as they are now.
  const decision = granted(ctx, request);

  // Step 3 and 4: the profile applied with the active issuer's facts.
  const issuer = ctx.authorities.snapshot().active;
  const entropy = ctx.random.bytes(16);
  const shard = shardOf(entropy, issuer.shardCount);
  const intent = applyProfile(
    profile,
    issuerFacts(ctx.config, issuer, shard),
    {
      makeSerial: (notAfter) => makeSerial(notAfter, entropy),
      agentId: registration.agentId,
      agentName: registration.agentName,
      spiffeId: decision.spiffeId,
      dnsNames: decision.dnsNames,
      publicKey: csr.publicKey,
      ttlSeconds: decision.ttlSeconds,
      backdateSeconds: ctx.config.leafBackdateSeconds,
    },
    now,
  );

  // Step 5: build, lint, and get the token that signs once.
  const token = prepare(intent, {
    kind: 'leaf',
    issuer: issuer.lintFacts,
    expectedSpki: csr.publicKey.spki,
    registration: {
      agentId: registration.agentId,
      instanceId: request.instanceId,
      trustDomain: ctx.config.trustDomain,
      dnsNames: [...registration.dnsNames],
      instanceInPath: profile.instanceInPath,
    },
  });
  await step('prepared');

  // Step 6: sign, and compare what was signed with the intent.
  const der = await issuer.sign(token);
  const certificate = parseCertificate(der);
  assertIntended(certificate, intent);
  await step('signed');

  // Step 7: durable together with its audit event, re-checked under the commit lock.
  const commit = commitOf(ctx, origin, request, { der, certificate, issuerId: issuer.id, shard });
  const verdict = await ctx.commits.submit(commit);
  if (verdict !== 'committed') throw await refused(ctx, verdict, registration.agentId, csr.publicKey.keyHash);
  await step('committed');
  ctx.metrics.issuanceDuration.observe({ operation: kind }, (ctx.clock.monotonicMs() - startedMs) / 1000);

  // Step 8: respond.
  return {
    der,
    serial: certificate.serial,
    issuerId: issuer.id,
    agentId: registration.agentId,
    instanceId: request.instanceId,
    profile: profile.name,
    spiffeId: spiffeIdOf(certificate),
    generation: request.generation,
    notBefore: intent.notBefore,
    notAfter: intent.notAfter,
    issuedAt: now,
    replayed: false,
    receipt: { eventId: commit.audit.id, leafHash: leafHash(commit.audit.event) },
  };
}

/** The SPIFFE ID of one of our leaves. */
export const spiffeIdOf = ({ subjectAlternativeName }: Certificate): string => subjectAlternativeName?.uris[0] ?? '';

/** What policy grants of a request. @throws SignetError names-not-granted, ttl-not-granted, key-type-not-allowed */
function granted(ctx: Pick<Context, 'config'>, request: IssueRequest): Extract<Decision, { allow: true }> {
  const { registration, profile, csr, asked, instanceId } = request;
  const decision = decide(registration, profile, { trustDomain: ctx.config.trustDomain, instanceId, ...askedFor(csr, asked) });
  if (!decision.allow) throw new SignetError(decision.code, decision.detail, { granted: decision.granted });
  return decision;
}

/**
 * Whether issuing would be refused, as far as that can be known before: for what must not be done for the sake of a request that then fails.
 * @throws SignetError names-not-granted, ttl-not-granted, key-*, issuer-unavailable
 */
export async function assertIssuable(ctx: Context, request: IssueRequest): Promise<void> {
  const { csr, profile, registration } = request;
  verifyCsr(csr);
  granted(ctx, request);
  void ctx.authorities.snapshot().active;
  const known = await findPublicKey(ctx.db, csr.publicKey.keyHash);
  const reusable = profile.keyReuse && known?.agentId === registration.agentId && known.blockedAt === null;
  if (known && !reusable) throw keyRefusal(known, registration.agentId);
}

/** The row of a signed certificate, with its audit event and everything the commit must find unchanged. */
function commitOf(ctx: Context, origin: Origin, request: IssueRequest, signed: { der: Buffer; certificate: Certificate; issuerId: string; shard: number }): CertificateCommit {
  const { kind, registration, profile, csr, now, instanceId, generation, tokenId, oldSerial } = request;
  const { der, certificate, issuerId, shard } = signed;
  const audit = encodeAuditEvent(ctx, origin, now, {
    kind: kind === 'enroll' ? 'certificate.issued' : 'certificate.renewed',
    outcome: 'success',
    agentId: registration.agentId,
    instanceId,
    serial: certificate.serial,
    ...(tokenId === null ? {} : { target: tokenId }),
    authority: issuerId,
    fingerprint: createHash('sha256').update(der).digest(),
    detail: {
      profile: profile.name,
      generation,
      notAfter: certificate.notAfter.toISOString(),
      ...(oldSerial === null ? {} : { supersedes: serialHex(oldSerial) }),
    },
  });
  return {
    kind, agentId: registration.agentId, agentVersion: registration.version, instanceId, tokenId, source: origin.source, oldSerial, keyReuse: profile.keyReuse && kind === 'renew',
    serial: certificate.serial, issuerId, profile: profile.name, shard, generation, keyHash: csr.publicKey.keyHash, der,
    notBefore: certificate.notBefore, notAfter: certificate.notAfter, issuedAt: now, idempotency: request.idempotency, audit,
  };
}

/** What was signed, read back, is what was meant: a fault here is ours, and nothing of it leaves the process. */
function assertIntended(certificate: Certificate, intent: CertificateIntent): void {
  const same =
    certificate.serial.equals(intent.serial) &&
    certificate.spki.equals(intent.spki) &&
    certificate.issuerName.equals(intent.issuerName) &&
    certificate.subjectName.equals(encodeName(intent.subject)) &&
    certificate.notBefore.getTime() === intent.notBefore.getTime() &&
    certificate.notAfter.getTime() === intent.notAfter.getTime() &&
    certificate.extensions.length === intent.extensions.length &&
    certificate.extensions.every((extension, i) => isSame(extension, intent.extensions[i]));
  if (!same) throw new SignetError('internal', 'the signed certificate differs from its intent');
}

const isSame = (a: Extension, b: Extension | undefined): boolean => a.oid === b?.oid && a.critical === b.critical && a.value.equals(b.value);

async function refused(ctx: Context, verdict: Exclude<CommitOutcome, 'committed'>, agentId: string, keyHash: Buffer): Promise<SignetError> {
  if (verdict === 'unknown') return outcomeUnknown();
  if (verdict === 'agent-busy' || verdict === 'registration-changed') return new RegistrationChanged();
  if (verdict !== 'key-in-use') return refusal(verdict);
  return keyRefusal(await findPublicKey(ctx.db, keyHash), agentId);
}

function keyRefusal(known: Awaited<ReturnType<typeof findPublicKey>>, agentId: string): SignetError {
  if (known?.blockedAt) return refusal('key-blocked');
  return refusal(known?.agentId === agentId ? 'key-not-fresh' : 'key-in-use');
}
