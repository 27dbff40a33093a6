import { formatAgentSpiffeId } from '../../core/spiffe-id.ts';
import { isAuthority, type Lint, type LintRegistration, type LintSubject } from './lint.ts';

/** RFC 5280 §4.2.1.6, X509-SVID §2: a leaf has exactly the URI it is registered as, DNS names only of its registration, and nothing else. */
export const subjectAlternativeName: Lint = {
  name: 'subject-alternative-name',
  reference: 'RFC 5280 §4.2.1.6',
  check(subject) {
    const names = subject.certificate.subjectAlternativeName;
    if (isAuthority(subject.kind) || subject.kind === 'ocsp' || subject.kind === 'feed') return names ? 'this kind has no alternative names' : undefined;
    if (!names) return 'alternative names are missing';
    if (new Set(names.dnsNames).size !== names.dnsNames.length) return 'a DNS name appears twice';
    return subject.kind === 'tls' ? checkServer(names) : checkLeaf(names, subject.registration);
  },
};

type Names = NonNullable<LintSubject['certificate']['subjectAlternativeName']>;

function checkServer(names: Names): string | undefined {
  if (names.uris.length > 0 || names.others > 0) return 'a server certificate names only DNS names and addresses';
  return names.dnsNames.length + names.ipAddresses.length === 0 ? 'a server certificate needs a name' : undefined;
}

function checkLeaf(names: Names, registration: LintRegistration | undefined): string | undefined {
  if (!registration) return 'there is no registration to measure the names against';
  const { trustDomain, agentId, instanceId, instanceInPath, dnsNames } = registration;
  const expected = formatAgentSpiffeId(trustDomain, agentId, instanceInPath ? instanceId : undefined);
  if (names.uris.length !== 1) return `has ${names.uris.length} URIs, not one`;
  if (names.uris[0] !== expected) return `URI is not ${expected}`;
  const foreign = names.dnsNames.find((name) => !dnsNames.includes(name));
  if (foreign !== undefined) return `DNS name ${foreign} is not registered`;
  return names.ipAddresses.length + names.others > 0 ? 'has names that are neither URI nor DNS' : undefined;
}
