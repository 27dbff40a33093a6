/** Certificate policies and what steers them (RFC 5280 §4.2.1.4, §4.2.1.5, §4.2.1.11, §4.2.1.14). Qualifiers are for people, and are read over. */
import { DerError, oidValue, open, smallInteger } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';

/** Policies of one certificate that are read. */
const MAX_POLICIES = 256;

export interface PolicyMapping {
  issuerDomain: string;
  subjectDomain: string;
}

export interface PolicyConstraints {
  /** Certificates that may follow before a policy is needed. */
  requireExplicitPolicy: number | undefined;
  inhibitPolicyMapping: number | undefined;
}

/** Policies, dotted, in order; at least one, none twice. @throws DerError */
export function parseCertificatePolicies(value: Uint8Array): string[] {
  const list = listIn(value, 'CertificatePolicies');
  const policies = new Set<string>();
  while (!list.done) {
    const information = list.sequence('PolicyInformation');
    const type = information.expect(TAG.OID, 'policyIdentifier');
    const policy = oidValue(type);
    information.optional(TAG.SEQUENCE);
    information.end('PolicyInformation');
    if (policies.has(policy) || policies.size === MAX_POLICIES) throw new DerError('a policy twice, or too many', type.offset);
    policies.add(policy);
  }
  if (policies.size === 0) throw new DerError('empty CertificatePolicies', 0);
  return [...policies];
}

/** @throws DerError */
export function parsePolicyMappings(value: Uint8Array): PolicyMapping[] {
  const list = listIn(value, 'PolicyMappings');
  const mappings: PolicyMapping[] = [];
  while (!list.done) {
    const pair = list.sequence('PolicyMapping');
    const issuerDomain = pair.expect(TAG.OID, 'issuerDomainPolicy');
    const subjectDomain = pair.expect(TAG.OID, 'subjectDomainPolicy');
    pair.end('PolicyMapping');
    mappings.push({ issuerDomain: oidValue(issuerDomain), subjectDomain: oidValue(subjectDomain) });
    if (mappings.length > MAX_POLICIES) throw new DerError('too many policy mappings', issuerDomain.offset);
  }
  if (mappings.length === 0) throw new DerError('empty PolicyMappings', 0);
  return mappings;
}

/** At least one of the two (§4.2.1.11). @throws DerError */
export function parsePolicyConstraints(value: Uint8Array): PolicyConstraints {
  const fields = listIn(value, 'PolicyConstraints');
  const explicit = fields.optional(0x80);
  const inhibit = fields.optional(0x81);
  fields.end('PolicyConstraints');
  if (!explicit && !inhibit) throw new DerError('empty PolicyConstraints', 0);
  return { requireExplicitPolicy: explicit && smallInteger(explicit), inhibitPolicyMapping: inhibit && smallInteger(inhibit) };
}

/** SkipCerts of InhibitAnyPolicy. @throws DerError */
export function parseInhibitAnyPolicy(value: Uint8Array): number {
  const top = open(value);
  const node = top.expect(TAG.INTEGER, 'InhibitAnyPolicy');
  top.end('InhibitAnyPolicy');
  return smallInteger(node);
}

function listIn(value: Uint8Array, what: string) {
  const top = open(value);
  const list = top.sequence(what);
  top.end(what);
  return list;
}
