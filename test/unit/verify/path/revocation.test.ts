import { describe, expect, test } from '@jest/globals';
import { createCrlMemory, readCrl } from '../../../../src/verify/path/index.ts';
import { boolean, contextPrimitive, integer, nullValue, sequence } from '../../../../src/x509/der/writer.ts';
import { encodeExtendedKeyUsage } from '../../../../src/x509/extensions/extended-key-usage.ts';
import type { Extension } from '../../../../src/x509/extensions/extension.ts';
import { encodeIssuingDistributionPoint } from '../../../../src/x509/extensions/issuing-distribution-point.ts';
import { encodeKeyUsage } from '../../../../src/x509/extensions/key-usage.ts';
import { encodeNoRevAvail } from '../../../../src/x509/extensions/no-rev-avail.ts';
import { encodeSubjectKeyIdentifier } from '../../../../src/x509/extensions/subject-key-identifier.ts';
import { OID } from '../../../../src/x509/oids.ts';
import { codes, crlOf, judge, ocspOf, verdict, type CrlChange, type OcspChange } from '../../../support/path-requests.ts';
import { daysFromNow, issue, makeIssuing, makeLeaf, makeRoot, NOW, responderIntent, testKey, withExtensions, withoutExtension, type Change } from '../../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);
const leaf = makeLeaf(issuing);
const other = makeLeaf(issuing, 'Other Agent');
const entry = { serial: leaf.certificate.serial, revokedAt: daysFromNow(-1), reason: 1 };
const extended = (...extensions: Extension[]): Change => (intent) => ({ extensions: withExtensions(intent, ...extensions) });

describe('lists', () => {
  const ask = (change: CrlChange = {}) => judge(leaf, [issuing, root], { crls: [crlOf(issuing, change), crlOf(root)] });
  const point = (...fields: Buffer[]): Extension => ({ oid: OID.issuingDistributionPoint, critical: true, value: sequence(...fields) });

  test('good when not listed, revoked when listed, whoever is asked first', () => {
    expect(verdict(ask())).toBe('valid');
    expect(verdict(ask({ entries: [entry] }))).toBe('revoked');
    expect(verdict(judge(leaf, [issuing, root], { crls: [crlOf(issuing), crlOf(root, { entries: [{ ...entry, serial: issuing.certificate.serial }] })] }))).toBe('revoked');
    expect(verdict(judge(leaf, [issuing, root], { crls: [crlOf(issuing, { entries: [entry] }), crlOf(root)], ocsp: [ocspOf(leaf, issuing)] }))).toBe('revoked');
  });

  test('every certificate below the anchor needs one; the leaf alone where that is asked for', () => {
    const crls = [crlOf(issuing)];
    expect(verdict(judge(leaf, [issuing, root], { crls }))).toBe('status-unknown');
    expect(verdict(judge(leaf, [issuing, root], { crls, revocation: 'leaf' }))).toBe('valid');
    expect(verdict(judge(leaf, [issuing, root], { revocation: 'path' }))).toBe('status-unknown');
    expect(verdict(judge(leaf, [issuing, root]))).toBe('valid');
  });

  test.each<[string, CrlChange, string]>([
    ['past its nextUpdate', { nextUpdate: daysFromNow(-1), thisUpdate: daysFromNow(-2) }, 'crl-stale'],
    ['of tomorrow', { thisUpdate: daysFromNow(1), nextUpdate: daysFromNow(2) }, 'crl-stale'],
    ['signed by somebody', { key: testKey('somebody') }, 'crl-bad-signature'],
    ['with an unknown critical extension', { extensions: [{ oid: '1.2.3.4', critical: true, value: nullValue() }] }, 'crl-critical-extension'],
    ['indirect', { extensions: [point(contextPrimitive(4, Buffer.from([0xff])))] }, 'crl-indirect'],
    ['for CAs only', { extensions: [point(contextPrimitive(2, Buffer.from([0xff])))] }, 'crl-not-in-scope'],
    ['for attribute certificates only', { extensions: [point(contextPrimitive(5, Buffer.from([0xff])))] }, 'crl-not-in-scope'],
    ['of another shard', { extensions: [encodeIssuingDistributionPoint({ uris: ['http://elsewhere.example/1.crl'] })] }, 'crl-not-in-scope'],
  ])('a list %s says nothing', (_, change, code) => {
    const result = ask(change);
    expect(verdict(result)).toBe('status-unknown');
    expect(codes(result)).toContain(code);
  });

  test('a shard counts for the certificates that name it', () => {
    expect(verdict(ask({ extensions: [encodeIssuingDistributionPoint({ uris: ['http://127.0.0.1:8080/crl/issuing/complete.crl'] })] }))).toBe('valid');
  });

  test('lists for some reasons count once they cover all of them', () => {
    const some = (flags: number[]) => crlOf(issuing, { extensions: [point(contextPrimitive(3, Buffer.from(flags)))] });
    const [compromise, rest] = [some([6, 0x40]), some([7, 0x3f, 0x80])];
    const given = (...crls: Buffer[]) => verdict(judge(leaf, [issuing, root], { crls: [...crls, crlOf(root)] }));
    expect([given(compromise), given(rest), given(compromise, rest)]).toEqual(['status-unknown', 'status-unknown', 'valid']);
  });

  test('a delta list adds a revocation, and is no complete list', () => {
    const delta: CrlChange = { extensions: [{ oid: OID.deltaCrlIndicator, critical: true, value: integer(3) }], number: 8n };
    const given = (...crls: Buffer[]) => verdict(judge(leaf, [issuing, root], { crls: [...crls, crlOf(root)] }));
    expect(given(crlOf(issuing, delta))).toBe('status-unknown');
    expect(given(crlOf(issuing), crlOf(issuing, delta))).toBe('valid');
    expect(given(crlOf(issuing), crlOf(issuing, { ...delta, entries: [entry] }))).toBe('revoked');
  });

  test('removeFromCRL, which only a delta list may say, takes nothing off a complete one', () => {
    const again = [{ ...entry, reason: 8 }];
    expect(verdict(judge(leaf, [issuing, root], { crls: [crlOf(issuing, { entries: again }), crlOf(root)] }))).toBe('revoked');
  });

  test('the signer must have cRLSign', () => {
    const mute = makeIssuing(root, 'Test Issuing CA', extended(encodeKeyUsage(['keyCertSign'])));
    expect(codes(judge(leaf, [mute, root], { crls: [crlOf(mute), crlOf(root)] }))).toContain('crl-signer-not-authorized');
  });

  test('a key of its own for lists, certified under the same anchor', () => {
    const key = testKey('list key');
    const shape: Change = (intent) => ({ spki: key.spki, serial: Buffer.from([9]), extensions: withExtensions(intent, encodeKeyUsage(['cRLSign']), encodeSubjectKeyIdentifier(key.keyIdentifier)) });
    const [signer, stranger] = [makeIssuing(root, 'Test Issuing CA', shape), makeIssuing(makeRoot('Stranger'), 'Test Issuing CA', shape)];
    const given = (one: typeof signer, entries: CrlChange['entries'] = []) => judge(leaf, [issuing, one, root], { crls: [crlOf({ ...issuing, key }), crlOf(root, { entries })] });
    expect(verdict(given(signer))).toBe('valid');
    expect(codes(given(stranger))).toContain('crl-signer-not-authorized');
    expect(codes(given(signer, [{ ...entry, serial: signer.certificate.serial }]))).toContain('crl-signer-not-authorized');
    expect(codes(judge(leaf, [issuing, root], { crls: [crlOf({ ...issuing, key }), crlOf(root)] }))).toContain('crl-bad-signature');
  });

  test('a list is read, and its signature checked, once for all paths of a question', () => {
    const forged = crlOf(issuing, { key: testKey('nobody') });
    const ended = Array.from({ length: 60 }, (_, i) => makeIssuing(root, 'Test Issuing CA', () => ({ serial: Buffer.from([i + 1]) })));
    const entries = ended.map(({ certificate }) => ({ serial: certificate.serial, revokedAt: daysFromNow(-1), reason: 1 }));
    // Sixty ways over revoked issuers come first: five signatures each would be more than are checked.
    const crls = [...Array<Buffer>(3).fill(forged), crlOf(issuing), crlOf(root, { entries })];
    expect(verdict(judge(leaf, [...ended, issuing, root], { crls }))).toBe('valid');
  });

  test('malformed lists are no evidence, and not as if none had been given', () => {
    const result = judge(leaf, [issuing, root], { crls: [Buffer.from('3003020100', 'hex')] });
    expect(codes(result)).toEqual(['status-unknown', 'malformed-crl', 'status-unknown']);
  });

  test('an older list than one seen before is refused, by its number or its time', () => {
    const crlMemory = createCrlMemory();
    const seen = (change: CrlChange) => codes(judge(leaf, [issuing, root], { crls: [crlOf(issuing, change)], revocation: 'leaf', crlMemory }));
    expect(seen({ number: 7n })).toEqual([]);
    expect(seen({ number: 6n })).toContain('crl-rollback');
    expect(seen({ number: 8n, thisUpdate: daysFromNow(-1) })).toContain('crl-rollback');
    // A forged list with a high number moves nothing.
    expect(seen({ number: 99n, key: testKey('forger') })).toContain('crl-bad-signature');
    expect(seen({ number: 8n })).toEqual([]);
    const again = createCrlMemory(crlMemory.entries());
    const list = readCrl(crlOf(issuing, { number: 7n }));
    expect('code' in list ? list : again.fault(list)).toMatchObject({ code: 'crl-rollback' });
  });

  test('noRevAvail asks for nothing, but hides nothing', () => {
    const brief = makeLeaf(issuing, 'Brief', (intent) => ({ extensions: [...intent.extensions.filter(({ oid }) => oid !== OID.crlDistributionPoints && oid !== OID.authorityInformationAccess), encodeNoRevAvail()] }));
    expect(verdict(judge(brief, [issuing, root], { revocation: 'leaf' }))).toBe('valid');
    expect(verdict(judge(brief, [issuing, root], { revocation: 'leaf', crls: [crlOf(issuing, { entries: [{ ...entry, serial: brief.certificate.serial }] })] }))).toBe('revoked');
  });
});

describe('OCSP', () => {
  const responder = { key: testKey('Test OCSP Responder'), certificate: issue(responderIntent(issuing), issuing.key) };
  const shaped = (change: Change) => {
    const intent = responderIntent(issuing);
    return { key: responder.key, certificate: issue({ ...intent, ...change(intent) }, issuing.key) };
  };
  const ask = (change: OcspChange = {}, nonce?: Buffer) => judge(leaf, [issuing, root], { ocsp: [ocspOf(leaf, issuing, change)], ocspNonce: nonce });

  test('good by the issuer or its responder, by SHA-1 and SHA-256', () => {
    expect(verdict(ask())).toBe('valid');
    expect(verdict(ask({ hash: 'sha256' }))).toBe('valid');
    expect(verdict(ask({ signer: responder }))).toBe('valid');
    expect(verdict(ask({ status: { status: 'revoked', at: daysFromNow(-1), reason: 1 }, signer: responder }))).toBe('revoked');
  });

  const nonce = Buffer.alloc(16, 7);
  test.each<[string, OcspChange & { sent?: Buffer }, string]>([
    ['about another serial number', { serial: other.certificate.serial }, 'ocsp-wrong-certificate'],
    ['with a foreign nonce', { nonce: Buffer.alloc(16, 8), sent: nonce }, 'ocsp-nonce-mismatch'],
    ['without the nonce that was sent', { sent: nonce }, 'ocsp-nonce-mismatch'],
    ['by a responder without the extended key usage', { signer: shaped(extended(encodeExtendedKeyUsage(['clientAuth']))) }, 'ocsp-responder-not-authorized'],
    ['by a responder that has expired', { signer: shaped(() => ({ notBefore: daysFromNow(-3), notAfter: daysFromNow(-2) })) }, 'ocsp-responder-not-authorized'],
    ['by a responder without nocheck or list', { signer: shaped((intent) => ({ extensions: withoutExtension(intent, OID.ocspNoCheck) })) }, 'ocsp-responder-not-authorized'],
    ['by a responder of another CA', { signer: { key: responder.key, certificate: issue(responderIntent(makeIssuing(makeRoot('Else'))), testKey('forger')) } }, 'ocsp-responder-not-authorized'],
    ['with a bad signature', { signature: Buffer.alloc(64) }, 'ocsp-bad-signature'],
    ['by nobody', { signer: { key: testKey('nobody') } }, 'ocsp-bad-signature'],
    ['that is past', { thisUpdate: daysFromNow(-2), nextUpdate: daysFromNow(-1) }, 'ocsp-stale'],
    ['of tomorrow', { thisUpdate: daysFromNow(1), nextUpdate: daysFromNow(2) }, 'ocsp-stale'],
    ['that says unknown', { status: { status: 'unknown' } }, 'ocsp-unknown'],
  ])('an answer %s says nothing', (_, change, code) => {
    const result = ask(change, change.sent);
    expect(verdict(result)).toBe('status-unknown');
    expect(codes(result)).toContain(code);
  });

  test('that speaks of the certificate twice: what is past counts for nothing, and revoked for more than good', () => {
    const [good, revoked] = [{ status: 'good' }, { status: 'revoked', at: daysFromNow(-1) }] as const;
    const [past, tomorrow] = [new Date(NOW.getTime() - 1000), daysFromNow(1)];
    expect(verdict(ask({ before: [{ status: good, nextUpdate: tomorrow }], status: revoked }))).toBe('revoked');
    expect(verdict(ask({ before: [{ status: good, nextUpdate: past }], status: revoked }))).toBe('revoked');
    expect(verdict(ask({ before: [{ status: good, nextUpdate: past }] }))).toBe('valid');
    expect(codes(ask({ before: [{ status: good, nextUpdate: past }], nextUpdate: past }))).toContain('ocsp-stale');
  });

  test('the nonce that was sent', () => expect(verdict(ask({ nonce }, nonce))).toBe('valid'));

  test('an answer that is none, or an error', () => {
    expect(codes(judge(leaf, [issuing, root], { ocsp: [boolean(true)] }))).toContain('malformed-ocsp');
    expect(codes(judge(leaf, [issuing, root], { ocsp: [Buffer.from('30030a0106', 'hex')] }))).toContain('ocsp-not-successful');
  });

  test('a responder without nocheck is good where a list says so', () => {
    const plain = shaped((intent) => ({ extensions: withoutExtension(intent, OID.ocspNoCheck) }));
    const asked = (entries: CrlChange['entries']) => judge(leaf, [issuing, root], { ocsp: [ocspOf(leaf, issuing, { signer: plain })], crls: [crlOf(issuing, { entries: entries ?? [] })], revocation: 'leaf', time: NOW });
    expect(verdict(asked([]))).toBe('valid');
  });
});
