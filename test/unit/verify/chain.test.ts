import { describe, expect, test } from '@jest/globals';
import { context, contextPrimitive, nullValue, sequence } from '../../../src/x509/der/writer.ts';
import { encodeBasicConstraints } from '../../../src/x509/extensions/basic-constraints.ts';
import { encodeExtendedKeyUsage } from '../../../src/x509/extensions/extended-key-usage.ts';
import { encodeKeyUsage } from '../../../src/x509/extensions/key-usage.ts';
import { encodeNameConstraints } from '../../../src/x509/extensions/name-constraints.ts';
import { encodeSubjectKeyIdentifier } from '../../../src/x509/extensions/subject-key-identifier.ts';
import { OID } from '../../../src/x509/oids.ts';
import { verifyChain, type ChainOptions, type ChainResult } from '../../../src/verify/chain.ts';
import type { Certificate } from '../../../src/x509/certificate.ts';
import type { Extension } from '../../../src/x509/extensions/extension.ts';
import { daysFromNow, issue, leafIntent, makeIssuing, makeLeaf, makeRoot, NOW, testKey, withExtensions, withoutExtension, type Change, type TestAuthority } from '../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);
const leaf = makeLeaf(issuing);

const extensions =
  (...replacement: Extension[]): Change =>
  (intent) => ({ extensions: withExtensions(intent, ...replacement) });
const judge = (certificate: Certificate, options: ChainOptions & { at?: Date; candidates?: TestAuthority[]; anchors?: TestAuthority[] } = {}): ChainResult => {
  const { at = NOW, candidates = [issuing], anchors = [root], ...rest } = options;
  const certificates = (authorities: TestAuthority[]) => authorities.map((authority) => authority.certificate);
  return verifyChain(certificate, certificates(candidates), certificates(anchors), at, rest);
};

describe('a good chain', () => {
  test('leads from the leaf over the issuing CA to the root', () => {
    expect(judge(leaf.certificate)).toEqual({ path: [leaf.certificate, issuing.certificate, root.certificate] });
  });

  test('holds at both ends of its validity, to the second', () => {
    const { notBefore, notAfter } = leaf.certificate;
    expect(judge(leaf.certificate, { at: notBefore })).toHaveProperty('path');
    expect(judge(leaf.certificate, { at: notAfter })).toHaveProperty('path');
    expect(judge(leaf.certificate, { at: new Date(notBefore.getTime() - 1000) })).toEqual({ fault: 'not-yet-valid' });
    expect(judge(leaf.certificate, { at: new Date(notAfter.getTime() + 1000) })).toEqual({ fault: 'expired' });
  });

  test('is found among issuers of the same name', () => {
    const imposter = makeIssuing(makeRoot('Other Root'));
    const older = makeIssuing(root, 'Test Issuing CA', ({ notAfter }) => ({ notAfter: new Date(notAfter.getTime() - 1000) }));
    expect(judge(leaf.certificate, { candidates: [imposter, older, issuing] })).toHaveProperty('path');
  });

  test('leads over a cross-certificate where only the old root is trusted', () => {
    const fresh = makeRoot('New Root');
    const cross = { ...fresh, certificate: makeIssuing(root, 'New Root', extensions(encodeBasicConstraints({ ca: true }))).certificate };
    const below = makeIssuing(fresh, 'New Issuing CA');
    const agent = makeLeaf(below);
    expect(judge(agent.certificate, { candidates: [below, cross] })).toEqual({ path: [agent.certificate, below.certificate, cross.certificate, root.certificate] });
    expect(judge(agent.certificate, { candidates: [below, cross], anchors: [fresh] })).toEqual({ path: [agent.certificate, below.certificate, fresh.certificate] });
  });
});

describe('expiry is said only of what is otherwise ours', () => {
  const at = daysFromNow(1);

  test('ours: expired, and accepted where expiry is left aside', () => {
    expect(judge(leaf.certificate, { at })).toEqual({ fault: 'expired' });
    expect(judge(leaf.certificate, { at, ignoreLeafExpiry: true })).toHaveProperty('path');
  });

  test.each([
    ['of a foreign CA', makeLeaf(makeIssuing(makeRoot('Foreign Root'), 'Foreign CA')).certificate, 'untrusted'],
    ['self-signed', makeRoot('Self').certificate, 'untrusted'],
    ['with a forged issuer name', issue(leafIntent(issuing), testKey('forger')), 'bad-signature'],
    ['of a foreign CA with our names', makeLeaf(makeIssuing(makeRoot())).certificate, undefined],
  ])('%s', (_, certificate, fault) => {
    const result = judge(certificate, { at, ignoreLeafExpiry: true });
    expect('fault' in result ? result.fault : undefined).toBe(fault);
  });

  test('an issuer that has expired is never left aside', () => {
    expect(judge(leaf.certificate, { at: daysFromNow(366), ignoreLeafExpiry: true })).toEqual({ fault: 'issuer-expired' });
  });
});

describe('refused', () => {
  test('without the issuing CA, or without an anchor', () => {
    expect(judge(leaf.certificate, { candidates: [] })).toEqual({ fault: 'untrusted' });
    expect(judge(leaf.certificate, { anchors: [] })).toEqual({ fault: 'untrusted' });
  });

  test('a changed certificate', () => {
    const tbs = Buffer.from(leaf.certificate.tbs);
    tbs[20] = (tbs[20] ?? 0) ^ 1;
    expect(judge({ ...leaf.certificate, tbs })).toEqual({ fault: 'bad-signature' });
  });

  test('a certificate signed by a leaf', () => {
    const below = makeLeaf({ ...leaf, name: leaf.certificate.subjectName }, 'Below');
    expect(judge(below.certificate, { candidates: [issuing, { ...leaf, name: leaf.certificate.subjectName }] })).toEqual({ fault: 'not-a-ca' });
  });

  test.each<[string, Change, string]>([
    ['an issuer without keyCertSign', extensions(encodeKeyUsage(['cRLSign'])), 'not-a-ca'],
    ['an issuer without basic constraints', (intent) => ({ extensions: withoutExtension(intent, OID.basicConstraints) }), 'not-a-ca'],
    ['an issuer with an unknown critical extension', extensions({ oid: '1.2.3.4', critical: true, value: nullValue() }), 'unknown-critical-extension'],
    ['an issuer not yet valid', () => ({ notBefore: daysFromNow(1) }), 'issuer-expired'],
    ["an issuer with another key identifier than the leaf's AKI", extensions(encodeSubjectKeyIdentifier(Buffer.alloc(20))), 'untrusted'],
    ['an issuer whose own issuer forged it', () => ({ issuerName: makeRoot('Nobody').name }), 'untrusted'],
  ])('%s', (_, change, fault) => {
    expect(judge(leaf.certificate, { candidates: [makeIssuing(root, 'Test Issuing CA', change)] })).toEqual({ fault });
  });

  test('a leaf with an unknown critical extension', () => {
    const odd = makeLeaf(issuing, 'Odd', extensions({ oid: '1.2.3.4', critical: true, value: nullValue() }));
    expect(judge(odd.certificate)).toEqual({ fault: 'unknown-critical-extension' });
  });

  test('a path longer than an issuer allows', () => {
    const second = makeIssuing(issuing, 'Second CA');
    const agent = makeLeaf(second);
    expect(judge(agent.certificate, { candidates: [issuing, second] })).toEqual({ fault: 'path-too-long' });
  });

  test('a leaf without the purpose, or with an issuer that denies it', () => {
    const server = makeLeaf(issuing, 'Server', extensions(encodeExtendedKeyUsage(['serverAuth'])));
    expect(judge(server.certificate, { purpose: 'clientAuth' })).toEqual({ fault: 'wrong-purpose' });
    expect(judge(server.certificate, { purpose: 'serverAuth' })).toHaveProperty('path');
    const narrow = makeIssuing(root, 'Test Issuing CA', extensions(encodeExtendedKeyUsage(['serverAuth'])));
    expect(judge(leaf.certificate, { candidates: [narrow], purpose: 'clientAuth' })).toEqual({ fault: 'wrong-purpose' });
    const signer = makeLeaf(issuing, 'Signer', extensions(encodeKeyUsage(['keyAgreement'])));
    expect(judge(signer.certificate, { purpose: 'clientAuth' })).toEqual({ fault: 'wrong-purpose' });
  });
});

describe('bounds', () => {
  const chainOf = (length: number): { authorities: TestAuthority[]; leaf: Certificate } => {
    const authorities: TestAuthority[] = [];
    let above: TestAuthority = root;
    for (let i = 0; i < length; i++) {
      above = makeIssuing(above, `CA ${i}`, extensions(encodeBasicConstraints({ ca: true })));
      authorities.push(above);
    }
    return { authorities, leaf: makeLeaf(above).certificate };
  };

  test('eight certificates make a path, nine do not', () => {
    const eight = chainOf(6);
    expect(judge(eight.leaf, { candidates: eight.authorities })).toHaveProperty('path.length', 8);
    const nine = chainOf(7);
    expect(judge(nine.leaf, { candidates: nine.authorities })).toEqual({ fault: 'path-too-long' });
  });

  test('many issuers that fit by name cost a bounded number of signature checks', () => {
    // Each has our name and key identifier, so only its signature tells it apart.
    const lookalikes = Array.from({ length: 40 }, (_, i) =>
      makeIssuing(root, 'Test Issuing CA', (intent) => ({ spki: testKey(`lookalike ${i}`).spki, extensions: intent.extensions })),
    );
    expect(judge(leaf.certificate, { candidates: [...lookalikes, issuing] })).toEqual({ fault: 'bad-signature' });
    expect(judge(leaf.certificate, { candidates: [...lookalikes.slice(0, 20), issuing] })).toHaveProperty('path');
  });

  test('CAs that certify each other in a circle end the search', () => {
    const one = makeIssuing({ ...root, ...makeRoot('Two'), name: makeRoot('Two').name }, 'One', extensions(encodeBasicConstraints({ ca: true })));
    const two = makeIssuing(one, 'Two', extensions(encodeBasicConstraints({ ca: true })));
    expect(judge(makeLeaf(one).certificate, { candidates: [one, two] })).toEqual({ fault: 'untrusted' });
  });
});

describe('name constraints (RFC 5280 §4.2.1.10)', () => {
  const [DNS, URI, DIRECTORY] = [2, 6, 4];
  const subtree = (kind: number, base: string) => sequence(contextPrimitive(kind, Buffer.from(base)));
  const constraints = (permitted: Buffer[], excluded: Buffer[]): Extension => ({
    oid: OID.nameConstraints,
    critical: true,
    value: sequence(...(permitted.length > 0 ? [context(0, ...permitted)] : []), ...(excluded.length > 0 ? [context(1, ...excluded)] : [])),
  });
  const under = (extension: Extension) => {
    const result = judge(leaf.certificate, { candidates: [makeIssuing(root, 'Test Issuing CA', extensions(extension))] });
    return 'fault' in result ? result.fault : 'permitted';
  };

  test('as Signet writes them: the trust domain is permitted, another is not', () => {
    expect(under(encodeNameConstraints({ permittedUris: ['signet.test'] }, true))).toBe('permitted');
    expect(under(encodeNameConstraints({ permittedUris: ['other.test'] }, true))).toBe('name-not-permitted');
    expect(under(encodeNameConstraints({ permittedUris: ['other.test'] }, false))).toBe('name-not-permitted');
  });

  test('those of the root bind the leaf, and a CA without names fits any', () => {
    const judgeUnder = (permittedUris: string[]) => {
      const bound = makeRoot('Test Root', extensions(encodeNameConstraints({ permittedUris }, true)));
      return judge(leaf.certificate, { anchors: [bound] });
    };
    expect(judgeUnder(['signet.test'])).toHaveProperty('path.length', 3);
    expect(judgeUnder(['other.test'])).toEqual({ fault: 'name-not-permitted' });
  });

  test.each<[string, Extension, string]>([
    ['more behind the subtrees', { ...constraints([], []), value: sequence(context(0, subtree(URI, 'signet.test')), nullValue()) }, 'name-not-permitted'],
    ['more behind the constraints', { ...constraints([], []), value: Buffer.concat([constraints([subtree(URI, 'signet.test')], []).value, nullValue()]) }, 'name-not-permitted'],
    ['URI and DNS permitted', constraints([subtree(URI, 'signet.test'), subtree(DNS, 'example.test')], []), 'permitted'],
    ['one of several permitted', constraints([subtree(URI, 'other.test'), subtree(URI, 'signet.test')], []), 'permitted'],
    ['case does not matter', constraints([subtree(URI, 'SIGNET.test'), subtree(DNS, 'Example.TEST')], []), 'permitted'],
    ['subdomains of the trust domain do not cover itself', constraints([subtree(URI, '.signet.test')], []), 'name-not-permitted'],
    ['subdomains of its parent do', constraints([subtree(URI, '.test')], []), 'permitted'],
    ['a URI host stands for itself alone', constraints([subtree(URI, 'test')], []), 'name-not-permitted'],
    ['another DNS domain', constraints([subtree(DNS, 'other.test')], []), 'name-not-permitted'],
    ['a DNS domain that only ends alike', constraints([subtree(DNS, 'ample.test')], []), 'name-not-permitted'],
    ['an excluded DNS domain', constraints([], [subtree(DNS, 'example.test')]), 'name-not-permitted'],
    ['an excluded trust domain', constraints([subtree(URI, 'signet.test')], [subtree(URI, 'signet.test')]), 'name-not-permitted'],
    ['an excluded other trust domain', constraints([], [subtree(URI, 'other.test')]), 'permitted'],
    ['a kind of name we do not judge', constraints([sequence(context(DIRECTORY, sequence()))], []), 'name-not-permitted'],
    ['subtrees with a minimum', constraints([sequence(contextPrimitive(URI, Buffer.from('signet.test')), contextPrimitive(0, Buffer.of(1)))], []), 'name-not-permitted'],
    ['no subtrees at all', constraints([], []), 'name-not-permitted'],
  ])('%s', (_, extension, verdict) => {
    expect(under(extension)).toBe(verdict);
  });
});
