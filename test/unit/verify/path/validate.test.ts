import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createStore, PATH_LIMITS, PATH_REASONS, readCertificate, validatePath, type PathRequest } from '../../../../src/verify/path/index.ts';
import { context, contextPrimitive, nullValue, oid, sequence, tlv, utf8String } from '../../../../src/x509/der/writer.ts';
import { encodeBasicConstraints } from '../../../../src/x509/extensions/basic-constraints.ts';
import { encodeExtendedKeyUsage } from '../../../../src/x509/extensions/extended-key-usage.ts';
import type { Extension } from '../../../../src/x509/extensions/extension.ts';
import { encodeKeyUsage } from '../../../../src/x509/extensions/key-usage.ts';
import { encodeSubjectAlternativeName } from '../../../../src/x509/extensions/subject-alternative-name.ts';
import { FOREIGN_LIMITS } from '../../../../src/x509/foreign/certificate.ts';
import { encodeName } from '../../../../src/x509/names.ts';
import { OID } from '../../../../src/x509/oids.ts';
import { assembleCertificate, encodeTbs } from '../../../../src/x509/tbs.ts';
import { codes, foreign, judge, storeOf, verdict } from '../../../support/path-requests.ts';
import { daysFromNow, issue, leafIntent, makeIssuing, makeLeaf, makeRoot, NOW, SPIFFE_ID, testKey, TRUST_DOMAIN, withExtensions, withoutExtension, type Change, type Intent, type TestAuthority } from '../../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);
const leaf = makeLeaf(issuing);
const extended = (...extensions: Extension[]): Change => (intent) => ({ extensions: withExtensions(intent, ...extensions) });
/** Signed as it is: some of these our own strict reader does not read. */
function issueRaw(intent: Intent, signer: TestAuthority): Buffer {
  const tbs = encodeTbs(intent);
  return assembleCertificate(tbs, intent.signatureAlgorithm, signer.key.sign(tbs));
}
const anyDepth = encodeBasicConstraints({ ca: true });

describe('a good path', () => {
  test('is told from the leaf to the anchor', () => {
    const result = judge(leaf, [issuing, root], { purpose: 'clientAuth', spiffeId: SPIFFE_ID, trustDomain: TRUST_DOMAIN, host: 'AGENT.example.test.' });
    expect(result.reasons).toEqual([]);
    expect(result.path.map(({ der }) => der)).toEqual([leaf, issuing, root].map(({ certificate }) => certificate.der));
  });

  test('holds through the last second, and not before the first', () => {
    const { notBefore, notAfter } = leaf.certificate;
    const at = (time: Date) => verdict(judge(leaf, [issuing, root], { time }));
    expect([at(notBefore), at(new Date(notAfter.getTime() + 999))]).toEqual(['valid', 'valid']);
    expect([at(new Date(notBefore.getTime() - 1)), at(new Date(notAfter.getTime() + 1000))]).toEqual(['not-yet-valid', 'expired']);
  });

  test('leads over a cross-certificate where only the old root is trusted, and over the new root where that is', () => {
    const fresh = makeRoot('New Root');
    const cross = { ...fresh, certificate: makeIssuing(root, 'New Root', extended(anyDepth)).certificate };
    const below = makeIssuing(fresh, 'New Issuing CA');
    const agent = makeLeaf(below);
    expect(judge(agent, [below, cross, root]).path).toHaveLength(4);
    expect(judge(agent, [below, cross, fresh]).path).toHaveLength(3);
  });

  test('is found among issuers of the same name, the wrong ones first', () => {
    const imposter = makeIssuing(makeRoot('Other Root'));
    const expired = makeIssuing(root, 'Test Issuing CA', () => ({ notAfter: daysFromNow(-1), serial: Buffer.from([7]) }));
    expect(verdict(judge(leaf, [imposter, expired, issuing, root]))).toBe('valid');
  });

  test('names are compared without case, white space and string type (RFC 5280 §7.1)', () => {
    const written = makeIssuing(root, 'Test Issuing CA', () => ({ issuerName: sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x13, Buffer.from('TEST   root '))))) }));
    expect(verdict(judge(leaf, [written, root]))).toBe('valid');
    const different = makeIssuing(root, 'Test Issuing CA', () => ({ issuerName: sequence(tlv(0x31, sequence(oid('2.5.4.3'), utf8String('TestRoot')))) }));
    expect(verdict(judge(leaf, [different, root]))).toBe('untrusted');
  });
});

describe('refused', () => {
  test.each<[string, Change, string]>([
    ['that is no CA', (intent) => ({ extensions: withoutExtension(intent, OID.basicConstraints) }), 'not-a-ca'],
    ['without keyCertSign', extended(encodeKeyUsage(['cRLSign'])), 'not-a-ca'],
    ['that expired', () => ({ notAfter: daysFromNow(-1) }), 'issuer-expired'],
    ['of tomorrow', () => ({ notBefore: daysFromNow(1) }), 'issuer-not-yet-valid'],
    ['with an unknown critical extension', extended({ oid: '1.2.3.4', critical: true, value: nullValue() }), 'unknown-critical-extension'],
    ['without authority key identifier', (intent) => ({ extensions: withoutExtension(intent, OID.authorityKeyIdentifier) }), 'profile-violated'],
    ['without subject key identifier', (intent) => ({ extensions: withoutExtension(intent, OID.subjectKeyIdentifier) }), 'profile-violated'],
  ])('an issuer %s', (_, change, code) => {
    expect(verdict(judge(leaf, [makeIssuing(root, 'Test Issuing CA', change), root]))).toBe(code);
  });

  test.each<[string, Change, Partial<PathRequest>, string]>([
    ['an unknown critical extension', extended({ oid: '1.2.3.4', critical: true, value: nullValue() }), {}, 'unknown-critical-extension'],
    ['another purpose', extended(encodeExtendedKeyUsage(['serverAuth'])), { purpose: 'clientAuth' }, 'purpose-not-allowed'],
    ['any purpose, which is none', extended(encodeExtendedKeyUsage(['anyExtendedKeyUsage'])), { purpose: 'clientAuth' }, 'purpose-not-allowed'],
    ['a key usage for other things', extended(encodeKeyUsage(['dataEncipherment'])), { purpose: 'clientAuth' }, 'purpose-not-allowed'],
    ['cA at an end of a connection', extended(anyDepth, encodeKeyUsage(['digitalSignature'])), { purpose: 'clientAuth' }, 'purpose-not-allowed'],
    ['keyCertSign without cA', extended(encodeKeyUsage(['digitalSignature', 'keyCertSign'])), {}, 'profile-violated'],
    ['no subject and a name that is not critical', () => ({ subject: [] }), {}, 'profile-violated'],
    ['the serial number 0', () => ({ serial: Buffer.from([0]) }), {}, 'profile-violated'],
    ['another host', () => ({}), { host: 'other.example.test' }, 'host-mismatch'],
  ])('a leaf with %s', (_, change, request, code) => {
    const intent = leafIntent(issuing);
    const der = issueRaw({ ...intent, ...change(intent) }, issuing);
    expect(verdict(judge({ certificate: { der } }, [issuing, root], request))).toBe(code);
  });

  test('an anchor with an authority key identifier that names no key', () => {
    const odd = makeRoot('Test Root', extended({ oid: OID.authorityKeyIdentifier, critical: false, value: sequence(contextPrimitive(2, Buffer.from([7]))) }));
    expect(verdict(judge(leaf, [issuing, odd]))).toBe('profile-violated');
  });

  test('a narrow CA narrows what is below it', () => {
    const narrow = makeIssuing(root, 'Test Issuing CA', extended(encodeExtendedKeyUsage(['serverAuth'])));
    expect(verdict(judge(leaf, [narrow, root], { purpose: 'clientAuth' }))).toBe('purpose-not-allowed');
    const wide = makeIssuing(root, 'Test Issuing CA', extended(encodeExtendedKeyUsage(['anyExtendedKeyUsage'])));
    expect(verdict(judge(leaf, [wide, root], { purpose: 'clientAuth' }))).toBe('valid');
  });

  test('without an issuer, an anchor, or as its own anchor', () => {
    expect(verdict(judge(leaf, [root]))).toBe('untrusted');
    expect(verdict(judge(leaf, [issuing, makeRoot('Foreign')]))).toBe('untrusted');
    expect(verdict(judge(root, [root]))).toBe('untrusted');
  });

  test('a forged signature, and an anchor of the right name with another key', () => {
    expect(verdict(judge({ certificate: issue(leafIntent(issuing), testKey('forger')) }, [issuing, root]))).toBe('bad-signature');
    expect(verdict(judge(leaf, [issuing, makeRoot('Test Root', () => ({ spki: testKey('else').spki }))]))).toBe('bad-signature');
  });
});

describe('SPIFFE IDs', () => {
  const svid = (uris: string[], change: Change = () => ({})) => {
    const intent = leafIntent(issuing);
    const named = { ...intent, extensions: withExtensions(intent, encodeSubjectAlternativeName({ uris, dnsNames: [] }, false)) };
    return { certificate: { der: issueRaw({ ...named, ...change(named) }, issuing) } };
  };
  const long = (length: number) => `spiffe://signet.test/${'a'.repeat(length - 21)}`;
  const ask = (leafOf: { certificate: { der: Buffer } }, spiffeId?: string) => verdict(judge(leafOf, [issuing, root], { spiffeId, trustDomain: spiffeId === undefined ? 'signet.test' : undefined }));

  test('of the right form, up to 2,048 octets', () => {
    expect(ask(svid(['spiffe://signet.test/a/b']), 'spiffe://signet.test/a/b')).toBe('valid');
    expect(ask(svid([long(2048)]))).toBe('valid');
    expect(ask(svid(['spiffe://signet.test/a']), 'spiffe://signet.test/b')).toBe('spiffe-id-mismatch');
    expect(ask(svid(['spiffe://other.test/a']))).toBe('spiffe-id-mismatch');
  });

  test.each([
    ['two URIs', ['spiffe://signet.test/a', 'https://signet.test/']],
    ['an upper-case trust domain', ['spiffe://Signet.test/a']],
    ['percent escapes', ['spiffe://signet.test/%61']],
    ['a trailing slash', ['spiffe://signet.test/a/']],
    ['no path', ['spiffe://signet.test']],
    ['a port', ['spiffe://signet.test:443/a']],
    ['2,049 octets', [long(2049)]],
    ['another scheme', ['https://signet.test/a']],
  ])('%s', (_, uris) => expect(ask(svid(uris))).toBe('spiffe-id-invalid'));

  test('no CA, and signing only as an end entity does', () => {
    const uris = ['spiffe://signet.test/a'];
    expect(ask(svid(uris, extended(anyDepth)))).toBe('spiffe-id-invalid');
    expect(ask(svid(uris, extended(encodeKeyUsage(['keyAgreement']))))).toBe('spiffe-id-invalid');
    expect(ask(svid(uris, extended(encodeKeyUsage(['digitalSignature', 'cRLSign']))))).toBe('spiffe-id-invalid');
    expect(ask(svid(uris, (intent) => ({ extensions: withoutExtension(intent, OID.keyUsage) })))).toBe('spiffe-id-invalid');
  });
});

describe('hosts (RFC 9525)', () => {
  const named = (dnsNames: string[], ipAddresses: string[] = []) => makeLeaf(issuing, 'Host', extended(encodeSubjectAlternativeName({ uris: [], dnsNames, ipAddresses }, false)));
  test.each<[string, string[], string[], boolean]>([
    ['a.example.test', ['A.Example.test'], [], true],
    ['a.example.test', ['*.example.test'], [], true],
    ['a.b.example.test', ['*.example.test'], [], false],
    ['example.test', ['*.example.test'], [], false],
    ['a.test', ['*.test'], [], false],
    ['ab.example.test', ['a*.example.test'], [], false],
    ['192.0.2.1', ['192.0.2.1'], [], false],
    ['192.0.2.1', [], ['192.0.2.1'], true],
    ['2001:db8:0::1', [], ['2001:db8::1'], true],
    ['fe80::1%eth0', [], ['fe80::1'], false],
    ['', [''], [], false],
    ['192.0.2.1.', ['192.0.2.1'], [], false],
    ['0xc0000201', ['0xc0000201'], [], false],
    ['a.1', ['a.1'], [], false],
    ['a.0x7f', ['a.0x7f'], [], false],
    ['1a.example.test', ['1a.example.test'], [], true],
    ['::ffff:192.0.2.1', [], ['192.0.2.1'], false],
    ['Host', [], ['192.0.2.1'], false],
  ])('%s for %j %j: %s', (host, dnsNames, ipAddresses, is) => {
    expect(verdict(judge(named(dnsNames, ipAddresses), [issuing, root], { host }))).toBe(is ? 'valid' : 'host-mismatch');
  });
});

describe('name constraints', () => {
  const [EMAIL, DNS, URI, IP] = [1, 2, 6, 7];
  const subtree = (kind: number, base: string | Buffer) => sequence(contextPrimitive(kind, Buffer.from(base as string)));
  const constraints = (permitted: Buffer[], excluded: Buffer[] = []): Extension => ({
    oid: OID.nameConstraints, critical: true, value: sequence(...(permitted.length > 0 ? [context(0, ...permitted)] : []), ...(excluded.length > 0 ? [context(1, ...excluded)] : [])),
  });
  const ask = (...given: [Buffer[], Buffer[]?]) => verdict(judge(leaf, [makeIssuing(root, 'Test Issuing CA', extended(constraints(...given))), root]));

  test.each<[string, [Buffer[], Buffer[]?], string]>([
    ['a domain that is permitted', [[subtree(DNS, 'example.test')]], 'valid'],
    ['another', [[subtree(DNS, 'example.org')]], 'name-not-permitted'],
    ['one that only ends like it', [[subtree(DNS, 'xample.test')]], 'name-not-permitted'],
    ['an excluded one', [[], [subtree(DNS, 'agent.example.test')]], 'name-not-permitted'],
    ['a permitted host of URIs', [[subtree(URI, 'signet.test')]], 'valid'],
    ['below a domain', [[subtree(URI, '.signet.test')]], 'name-not-permitted'],
    ['constraints on what does not occur', [[subtree(EMAIL, 'example.org'), subtree(IP, Buffer.from('c0000200ffffff00', 'hex'))]], 'valid'],
    ['a constraint with a leading period', [[subtree(DNS, '.example.test')]], 'name-constraint-not-supported'],
    ['a permitted directory name', [[sequence(context(4, encodeName([{ type: 'CN', value: 'test AGENT' }])))]], 'valid'],
    ['another directory name', [[sequence(context(4, encodeName([{ type: 'CN', value: 'Somebody' }])))]], 'name-not-permitted'],
  ])('%s', (_, given, expected) => expect(ask(...given)).toBe(expected));

  test('a wildcard goes with the excluded name it covers', () => {
    const wild = makeLeaf(issuing, 'Wild', extended(encodeSubjectAlternativeName({ uris: [], dnsNames: ['*.example.test'] }, false)));
    expect(verdict(judge(wild, [makeIssuing(root, 'Test Issuing CA', extended(constraints([], [subtree(DNS, 'a.example.test')]))), root]))).toBe('name-not-permitted');
  });

  test.each<[string, { uris?: string[]; ipAddresses?: string[] }, Buffer[], Buffer[], string]>([
    ['an IPv4 address in the clothes of IPv6', { ipAddresses: ['::ffff:192.0.2.1'] }, [], [subtree(IP, Buffer.from('c0000200ffffff00', 'hex'))], 'name-not-permitted'],
    ['the same where IPv4 is permitted', { ipAddresses: ['::ffff:192.0.2.1'] }, [subtree(IP, Buffer.from('c0000200ffffff00', 'hex'))], [], 'name-not-permitted'],
    ['another IPv6 address', { ipAddresses: ['2001:db8::c000:201'] }, [], [subtree(IP, Buffer.from('c0000200ffffff00', 'hex'))], 'valid'],
    ['a URI that is read two ways', { uris: ['https://evil.test\\@example.test/'] }, [subtree(URI, 'example.test')], [], 'name-constraint-not-supported'],
    ['a URI with a user', { uris: ['https://a:b@example.test/'] }, [subtree(URI, 'example.test')], [], 'valid'],
    ['a user that looks like a host', { uris: ['https://example.test@evil.test/'] }, [subtree(URI, 'example.test')], [], 'name-not-permitted'],
    ['a host with a period at its end', { uris: ['https://evil.test./'] }, [], [subtree(URI, 'evil.test')], 'name-constraint-not-supported'],
  ])('%s', (_, { uris = [], ipAddresses = [] }, permitted, excluded, expected) => {
    const named = makeLeaf(issuing, 'Named', extended(encodeSubjectAlternativeName({ uris, dnsNames: [], ipAddresses }, false)));
    expect(verdict(judge(named, [makeIssuing(root, 'Test Issuing CA', extended(constraints(permitted, excluded))), root]))).toBe(expected);
  });

  test('kinds that cannot be judged are refused where they occur', () => {
    const other = sequence(context(0, oid('1.2.3'), context(0, utf8String('x'))));
    const odd = makeLeaf(issuing, 'Odd', extended({ oid: OID.subjectAlternativeName, critical: false, value: other }));
    const narrow = makeIssuing(root, 'Test Issuing CA', extended(constraints([other])));
    expect(verdict(judge(odd, [narrow, root]))).toBe('name-constraint-not-supported');
    expect(verdict(judge(leaf, [narrow, root]))).toBe('valid');
  });
});

describe('policies', () => {
  const [ONE, TWO, ANY] = ['1.2.3.1', '1.2.3.2', OID.anyPolicy];
  const policies = (...ids: string[]): Extension => ({ oid: OID.certificatePolicies, critical: false, value: sequence(...ids.map((id) => sequence(oid(id)))) });
  const mapping = (...pairs: [string, string][]): Extension => ({ oid: OID.policyMappings, critical: true, value: sequence(...pairs.map(([a, b]) => sequence(oid(a), oid(b)))) });
  const ask = (ca: Extension[], own: Extension[], request: Partial<PathRequest> = {}) =>
    verdict(judge(makeLeaf(issuing, 'Bound', extended(...own)), [makeIssuing(root, 'Test Issuing CA', extended(...ca)), root], { requireExplicitPolicy: true, ...request }));

  test('one that is valid for the whole path, or none', () => {
    expect(ask([policies(ONE)], [policies(ONE)])).toBe('valid');
    expect(ask([policies(ONE)], [policies(TWO)])).toBe('policy-not-satisfied');
    expect(ask([policies(ONE)], [])).toBe('policy-not-satisfied');
    expect(ask([policies(ONE)], [], { requireExplicitPolicy: false })).toBe('valid');
    expect(ask([policies(ANY)], [policies(ONE)], { initialPolicies: [ONE] })).toBe('valid');
    expect(ask([policies(ANY)], [policies(ONE)], { inhibitAnyPolicy: true })).toBe('policy-not-satisfied');
    expect(ask([policies(ONE)], [policies(ONE)], { initialPolicies: [TWO] })).toBe('policy-not-satisfied');
  });

  test('one that is mapped, unless mapping is inhibited', () => {
    expect(ask([policies(ONE), mapping([ONE, TWO])], [policies(TWO)], { initialPolicies: [ONE] })).toBe('valid');
    expect(ask([policies(ONE), mapping([ONE, TWO])], [policies(TWO)], { inhibitMapping: true })).toBe('policy-not-satisfied');
    expect(ask([policies(ONE), mapping([ANY, TWO])], [policies(TWO)])).toBe('policy-not-satisfied');
  });

  test('every policy mapped to every other at each step costs no more than the certificates say (RFC 9618)', () => {
    const ids = Array.from({ length: 16 }, (_, i) => `1.2.3.${i}`);
    const all = mapping(...ids.flatMap((a) => ids.map((b): [string, string] => [a, b])));
    let above: TestAuthority = root;
    const authorities = Array.from({ length: 12 }, (_, i) => (above = makeIssuing(above, `CA ${i}`, extended(anyDepth, policies(...ids), all))));
    const result = judge(makeLeaf(above, 'Deep', extended(policies(ONE))), [...authorities, root], { requireExplicitPolicy: true, initialPolicies: [TWO] });
    expect(verdict(result)).toBe('valid');
  });
});

describe('bounds', () => {
  test('a chain of a hundred', () => {
    let above: TestAuthority = root;
    const authorities = Array.from({ length: 100 }, (_, i) => (above = makeIssuing(above, `CA ${i}`, extended(anyDepth))));
    expect(codes(judge(makeLeaf(above), [...authorities, root]))).toContain('path-too-long');
  });

  test('ten thousand candidates, of other names or all of one', () => {
    const some = Array.from({ length: 100 }, (_, i) => makeRoot(`Stranger ${i}`).certificate.der);
    const strangers = Array.from({ length: 10_000 }, (_, i) => some[i % 100] ?? Buffer.alloc(0));
    expect(verdict(validatePath({ anchors: storeOf([root]), intermediates: createStore([...strangers.slice(1), issuing.certificate.der]), leaf: foreign(leaf.certificate), time: NOW }))).toBe('valid');
    expect(verdict(validatePath({ anchors: storeOf([root]), intermediates: createStore([...strangers, issuing.certificate.der]), leaf: foreign(leaf.certificate), time: NOW }))).toBe('too-many-certificates');
    const lookalikes = Array.from({ length: 300 }, (_, i) => makeIssuing(root, 'Test Issuing CA', () => ({ spki: testKey(`lookalike ${i}`).spki, serial: Buffer.from([1, i >> 8, i & 0xff]) })));
    expect(codes(judge(leaf, [...lookalikes, root]))).toContain('too-complex');
  });

  test('a megabyte of name constraints', () => {
    const huge = Buffer.concat(Array.from({ length: 60_000 }, (_, i) => sequence(contextPrimitive(2, Buffer.from(`n${i}.example.test`)))));
    const intent = leafIntent(issuing);
    const der = issueRaw({ ...intent, extensions: withExtensions(intent, { oid: OID.nameConstraints, critical: true, value: sequence(context(0, huge)) }) }, issuing);
    expect(readCertificate(der)).toMatchObject({ code: 'certificate-too-large' });
  });

  test('CAs that certify each other in every way end the search', () => {
    const names = Array.from({ length: 12 }, (_, i) => makeRoot(`Knot ${i}`));
    const knot = names.flatMap((above, i) => names.filter((_, j) => j !== i).map((below) => ({ ...below, certificate: makeIssuing(above, `Knot ${names.indexOf(below)}`, extended(anyDepth)).certificate })));
    const [first] = names;
    const result = judge(makeLeaf(first!), [...knot, root]);
    expect(result.valid).toBe(false);
  });
});

test('docs/path-validation.md tells every reason and every bound', () => {
  const page = readFileSync(new URL('../../../../docs/path-validation.md', import.meta.url), 'utf8');
  for (const [code, meaning] of Object.entries(PATH_REASONS)) expect(page).toContain(`| \`${code}\` | ${meaning} |`);
  for (const bound of [...Object.values(PATH_LIMITS).filter((one) => one !== PATH_LIMITS.reasons), FOREIGN_LIMITS.maxBytes]) expect(page).toContain(bound.toLocaleString('en'));
});

describe('hostile octets', () => {
  const anchors = storeOf([root]);
  const mutated = fc.tuple(fc.nat(leaf.certificate.der.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(2)).map(([at, bits, kind]) => {
    const der = Buffer.from(leaf.certificate.der);
    if (kind === 0) der[at] = (der[at] ?? 0) ^ bits;
    return kind === 1 ? der.subarray(0, at) : kind === 2 ? Buffer.concat([der.subarray(0, at), Buffer.from([bits]), der.subarray(at)]) : der;
  });

  test('a changed leaf never throws, and is never accepted', () => {
    fc.assert(fc.property(mutated, (der) => {
      const certificate = readCertificate(der);
      if ('code' in certificate) return Object.hasOwn(PATH_REASONS, certificate.code);
      const { valid, reasons } = validatePath({ anchors, intermediates: storeOf([issuing]), leaf: certificate, time: NOW });
      return !valid && reasons.length > 0;
    }), { numRuns: 800 });
  });

  test('a changed issuer neither', () => {
    fc.assert(fc.property(fc.nat(issuing.certificate.der.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const der = Buffer.from(issuing.certificate.der);
      der[at] = (der[at] ?? 0) ^ bits;
      return !validatePath({ anchors, intermediates: createStore([der]), leaf: foreign(leaf.certificate), time: NOW }).valid;
    }), { numRuns: 400 });
  });

  test('whatever octets as lists and answers', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      const result = judge(leaf, [issuing, root], { crls: [octets], ocsp: [octets] });
      return !result.valid;
    }), { numRuns: 200 });
  });
});
