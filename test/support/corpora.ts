/**
 * Public corpora of certification paths, as questions for `signet verify --batch`. None of their data is in this repository: PATH_CORPORA names a folder with
 * `PKITS_data/` (NIST's suite, as the Python package cryptography-vectors brings it), `limbo.json` (C2SP x509-limbo) and `bettertls.json` (Netflix BetterTLS,
 * its export-tests). docs/conformance.md says how they are had.
 */
import fs from 'node:fs';
import path from 'node:path';

/** One question with the answer that the corpus wants. */
export interface CorpusCase {
  name: string;
  valid: boolean;
  question: Record<string, unknown>;
}

const folder = process.env['PATH_CORPORA'] ?? '';
const at = (...names: string[]) => path.join(folder, ...names);

/** Whether a corpus is on this machine. */
export const hasCorpus = (name: 'PKITS_data' | 'limbo.json' | 'bettertls.json'): boolean => folder !== '' && fs.existsSync(at(name));

const base64 = (file: string): string => fs.readFileSync(file).toString('base64');
const ANY = '2.5.29.32.0';

/**
 * Settings of NIST's test descriptions (PKITS 1.0.1) that are not the default, by the name of the end certificate: valid or not, initial policies
 * (numbers of NIST-test-policy-n), and e for initial-explicit-policy, m for inhibited mapping, a for inhibited anyPolicy. All others are in the name.
 */
const PKITS_SETTINGS: Readonly<Record<string, readonly (readonly [valid: boolean, policies?: string, flags?: string])[]>> = {
  ValidCertificatePathTest1: [[true], [true, '', 'e'], [true, '1', 'e'], [false, '2', 'e'], [true, '1,2', 'e']],
  AllCertificatesNoPoliciesTest2: [[true], [false, '', 'e']],
  DifferentPoliciesTest3: [[true], [false, '', 'e'], [false, '1,2', 'e']],
  DifferentPoliciesTest4: [[false]],
  DifferentPoliciesTest5: [[false]],
  OverlappingPoliciesTest6: [[true], [true, '1'], [false, '2']],
  DifferentPoliciesTest7: [[false]],
  DifferentPoliciesTest8: [[false]],
  DifferentPoliciesTest9: [[false]],
  AllCertificatesSamePoliciesTest10: [[true], [true, '1'], [true, '2']],
  AllCertificatesanyPolicyTest11: [[true], [true, '1']],
  DifferentPoliciesTest12: [[false]],
  AllCertificatesSamePoliciesTest13: [[true, '1'], [true, '2'], [true, '3']],
  AnyPolicyTest14: [[true, '1'], [false, '2']],
  UserNoticeQualifierTest15: [[true]],
  UserNoticeQualifierTest16: [[true]],
  UserNoticeQualifierTest17: [[true]],
  UserNoticeQualifierTest18: [[true, '1'], [true, '2']],
  UserNoticeQualifierTest19: [[true]],
  CPSPointerQualifierTest20: [[true, '1', 'e']],
  ValidPolicyMappingTest1: [[true, '1'], [false, '2'], [false, '', 'm']],
  InvalidPolicyMappingTest2: [[false], [false, '', 'm']],
  ValidPolicyMappingTest3: [[false, '1'], [true, '2']],
  ValidPolicyMappingTest5: [[true, '1'], [false, '6']],
  ValidPolicyMappingTest6: [[true, '1'], [false, '6']],
  ValidPolicyMappingTest12: [[true, '1'], [true, '2']],
  ValidPolicyMappingTest13: [[true], [true, '1,2'], [false, '2']],
  inhibitAnyPolicyTest3: [[true], [false, '', 'a']],
};

/** Every test of PKITS, its path to be built of all CA certificates of the suite, with all of its lists. */
export function pkitsCases(): CorpusCase[] {
  const files = (name: string) => fs.readdirSync(at('PKITS_data', name));
  const certificates = files('certs');
  const common = {
    anchors: [base64(at('PKITS_data', 'certs', 'TrustAnchorRootCertificate.crt'))],
    intermediates: certificates.filter((file) => !file.endsWith('EE.crt')).map((file) => base64(at('PKITS_data', 'certs', file))),
    crls: files('crls').map((file) => base64(at('PKITS_data', 'crls', file))),
    time: '2020-01-01T00:00:00Z',
    allowLegacyAlgorithms: true, // DSA with SHA-1
  };
  return certificates.filter((file) => file.endsWith('EE.crt')).flatMap((file) => {
    const test = file.slice(0, -'EE.crt'.length);
    const settings = PKITS_SETTINGS[test] ?? [[test.startsWith('Valid')]];
    return settings.map(([valid, policies = '', flags = '']) => ({
      name: [test, policies && `policies ${policies}`, flags].filter(Boolean).join(' '),
      valid,
      question: {
        ...common,
        leaf: base64(at('PKITS_data', 'certs', file)),
        initialPolicies: policies === '' ? [ANY] : policies.split(',').map((n) => `2.16.840.1.101.3.2.1.48.${n}`),
        requireExplicitPolicy: flags.includes('e'),
        inhibitMapping: flags.includes('m'),
        inhibitAnyPolicy: flags.includes('a'),
      },
    }));
  });
}

interface LimboCase {
  id: string;
  validation_kind: 'CLIENT' | 'SERVER';
  trusted_certs: string[];
  untrusted_intermediates: string[];
  peer_certificate: string;
  validation_time: string | null;
  expected_result: 'SUCCESS' | 'FAILURE';
  expected_peer_name: { value: string } | null;
  max_chain_depth: number | null;
  crls?: string[];
}

export function limboCases(): CorpusCase[] {
  const { testcases } = JSON.parse(fs.readFileSync(at('limbo.json'), 'utf8')) as { testcases: LimboCase[] };
  return testcases.map((one) => ({
    name: one.id,
    valid: one.expected_result === 'SUCCESS',
    question: {
      anchors: one.trusted_certs,
      intermediates: one.untrusted_intermediates,
      leaf: one.peer_certificate,
      crls: one.crls ?? [],
      time: one.validation_time,
      purpose: one.validation_kind === 'SERVER' ? 'serverAuth' : 'clientAuth',
      host: one.expected_peer_name?.value,
      maxDepth: one.max_chain_depth,
    },
  }));
}

interface BetterTls {
  trustRoot: string;
  suites: Record<string, { testCases: { id: number; certificates: string[]; hostname: string; expected: 'ACCEPT' | 'REJECT' }[] }>;
}

/** Its certificates are made when it is exported: judged as of now. */
export function betterTlsCases(): CorpusCase[] {
  const { trustRoot, suites } = JSON.parse(fs.readFileSync(at('bettertls.json'), 'utf8')) as BetterTls;
  return Object.entries(suites).flatMap(([suite, { testCases }]) =>
    testCases.map(({ id, certificates: [leaf, ...intermediates], hostname, expected }) => ({
      name: `${suite} ${id}`,
      valid: expected === 'ACCEPT',
      question: { anchors: [trustRoot], intermediates, leaf, host: hostname, purpose: 'serverAuth' },
    })),
  );
}
