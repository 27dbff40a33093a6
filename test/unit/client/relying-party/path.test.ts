import { describe, expect, test } from '@jest/globals';
import { hasNoRevocation, readAgentName, validatePeer, type TrustedPath } from '../../../../src/client/relying-party/path.ts';
import type { Certificate } from '../../../../src/x509/certificate.ts';
import { encodeBasicConstraints } from '../../../../src/x509/extensions/basic-constraints.ts';
import { encodeExtendedKeyUsage } from '../../../../src/x509/extensions/extended-key-usage.ts';
import { encodeKeyUsage } from '../../../../src/x509/extensions/key-usage.ts';
import { encodeNoRevAvail } from '../../../../src/x509/extensions/no-rev-avail.ts';
import { encodeSubjectAlternativeName } from '../../../../src/x509/extensions/subject-alternative-name.ts';
import { AGENT_ID, daysFromNow, INSTANCE_ID, issue, leafIntent, makeIssuing, makeLeaf, makeRoot, NOW, SPIFFE_ID, testKey, TRUST_DOMAIN, withExtensions, type Change } from '../../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);
const roots = [root.certificate];
const issuers = [issuing.certificate];
const leafWith = (change: Change): Certificate => makeLeaf(issuing, 'Test Agent', change).certificate;
const withUris = (...uris: string[]) => leafWith((intent) => ({ extensions: withExtensions(intent, encodeSubjectAlternativeName({ uris, dnsNames: [] }, false)) }));
const validate = (leaf: Certificate, { at = NOW, given = issuers, anchors = roots, purpose = 'clientAuth' as const } = {}) => validatePeer(leaf, given, anchors, at, purpose);
const codeOf = (said: unknown): string => (said as { code?: string } | undefined)?.code ?? 'accepted';

describe('the path', () => {
  const leaf = makeLeaf(issuing).certificate;

  test('from the leaf to the root, the certificates that were given, and the time in which all are valid', () => {
    const path = validate(leaf) as TrustedPath;
    expect(path.certificates.map((one) => [leaf, issuing.certificate, root.certificate].indexOf(one))).toEqual([0, 1, 2]);
    expect([path.notBefore, path.notAfter]).toEqual([leaf.notBefore, leaf.notAfter]);
  });

  test.each<[string, Date, string]>([
    ['a day before', daysFromNow(-1), 'certificate-not-yet-valid'],
    ['a day after', daysFromNow(1), 'certificate-expired'],
    ['before the issuer, too', daysFromNow(-6), 'certificate-not-yet-valid'],
    ['after the issuer, too', daysFromNow(400), 'certificate-expired'],
  ])('%s: it is a matter of time, and the code says so', (_, at, code) => {
    expect(codeOf(validate(leaf, { at }))).toBe(code);
  });

  test.each<[string, () => unknown]>([
    ['without its issuer', () => validate(leaf, { given: [] })],
    ['under a root of the same name and another key', () => validate(leaf, { anchors: [issue({ ...rootLike(), spki: testKey('somebody').spki }, testKey('somebody'))] })],
    ['signed by somebody else', () => validate(issue(leafIntent(issuing), testKey('somebody')))],
    ['somebody else\'s, and over', () => validate(issue(leafIntent(issuing), testKey('somebody')), { at: daysFromNow(1) })],
    ['CA:true', () => validate(leafWith((intent) => ({ extensions: withExtensions(intent, encodeBasicConstraints({ ca: true }), encodeKeyUsage(['keyCertSign', 'digitalSignature'])) })))],
    ['with keyCertSign', () => validate(leafWith((intent) => ({ extensions: withExtensions(intent, encodeKeyUsage(['digitalSignature', 'keyCertSign'])) })))],
    ['for servers only', () => validate(leafWith((intent) => ({ extensions: withExtensions(intent, encodeExtendedKeyUsage(['serverAuth'])) })))],
    ['with a critical extension that nobody knows', () => validate(leafWith((intent) => ({ extensions: [...intent.extensions, { oid: '1.2.3.4', critical: true, value: Buffer.from([5, 0]) }] })))],
  ])('%s: untrusted', (_, judge) => {
    expect(codeOf(judge())).toBe('certificate-untrusted');
  });

  const rootLike = () => ({ ...leafIntent(issuing), issuerName: root.name, subject: [{ type: 'CN' as const, value: 'Test Root' }], signatureAlgorithm: root.key.algorithm, notBefore: daysFromNow(-10), notAfter: daysFromNow(3650), extensions: [encodeKeyUsage(['keyCertSign', 'cRLSign']), encodeBasicConstraints({ ca: true })] });
});

describe('the SPIFFE ID', () => {
  const name = (...uris: string[]) => readAgentName(withUris(...uris), TRUST_DOMAIN);

  test('of an agent, or of one of its instances', () => {
    expect(name(SPIFFE_ID)).toEqual({ spiffeId: SPIFFE_ID, agentId: AGENT_ID, instanceId: undefined });
    expect(name(`${SPIFFE_ID}/instance/${INSTANCE_ID}`)).toMatchObject({ agentId: AGENT_ID, instanceId: INSTANCE_ID });
    expect(readAgentName(leafWith((intent) => ({ extensions: withExtensions(intent, encodeSubjectAlternativeName({ uris: [], dnsNames: ['a.example'] }, false)) })), TRUST_DOMAIN)).toBeUndefined();
  });

  test.each<[string, string[]]>([
    ['two of them', [SPIFFE_ID, `${SPIFFE_ID}/instance/${INSTANCE_ID}`]],
    ['the same twice', [SPIFFE_ID, SPIFFE_ID]],
    ['one, and another URI', [SPIFFE_ID, 'https://a.example/']],
    ['a trust domain in upper case', [SPIFFE_ID.replace(TRUST_DOMAIN, TRUST_DOMAIN.toUpperCase())]],
    ['a scheme in upper case', [SPIFFE_ID.replace('spiffe', 'SPIFFE')]],
    ['a percent escape', [SPIFFE_ID.replace('/agent/', '/%61gent/')]],
    ['a slash at the end', [`${SPIFFE_ID}/`]],
    ['two slashes', [SPIFFE_ID.replace('/agent/', '//agent/')]],
    ['a dot segment', [SPIFFE_ID.replace('/agent/', '/agent/../agent/')]],
    ['a port', [SPIFFE_ID.replace(TRUST_DOMAIN, `${TRUST_DOMAIN}:443`)]],
    ['a user', [SPIFFE_ID.replace(TRUST_DOMAIN, `a@${TRUST_DOMAIN}`)]],
    ['a query', [`${SPIFFE_ID}?a`]],
    ['2,049 octets', [`${SPIFFE_ID}/${'a'.repeat(2_048 - SPIFFE_ID.length)}`]],
    ['another trust domain', [SPIFFE_ID.replace(TRUST_DOMAIN, `${TRUST_DOMAIN}.example`)]],
    ['no agent', [`spiffe://${TRUST_DOMAIN}/service/${AGENT_ID}`]],
    ['the trust domain alone', [`spiffe://${TRUST_DOMAIN}`]],
    ['more than an instance', [`${SPIFFE_ID}/instance/${INSTANCE_ID}/more`]],
    ['something else below the agent', [`${SPIFFE_ID}/task/${INSTANCE_ID}`]],
  ])('%s: not accepted', (_, uris) => {
    expect(codeOf(name(...uris))).toBe('identity-not-accepted');
  });

  test('of a certificate that may sign others: not accepted, whatever the path says', () => {
    for (const extension of [encodeBasicConstraints({ ca: true }), encodeKeyUsage(['digitalSignature', 'keyCertSign']), encodeKeyUsage(['digitalSignature', 'cRLSign'])]) {
      expect(codeOf(readAgentName(leafWith((intent) => ({ extensions: withExtensions(intent, extension) })), TRUST_DOMAIN))).toBe('identity-not-accepted');
    }
  });
});

test('noRevAvail is what says that there is no status', () => {
  expect([hasNoRevocation(makeLeaf(issuing).certificate), hasNoRevocation(leafWith((intent) => ({ extensions: [...intent.extensions, encodeNoRevAvail()] })))]).toEqual([false, true]);
});
