import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { ocspRequest, readOcspAnswer } from '../../../src/client/ocsp.ts';
import type { Certificate } from '../../../src/x509/certificate.ts';
import { parseOcspRequest } from '../../../src/x509/ocsp-request.ts';
import { assembleOcspResponse, encodeOcspError, encodeOcspResponseData, type SingleStatus } from '../../../src/x509/ocsp-response.ts';
import { daysFromNow, issue, leafIntent, makeIssuing, makeLeaf, makeResponder, makeRoot, NOW, responderIntent, type TestCertificate } from '../../support/test-pki.ts';

const root = makeRoot();
const issuer = makeIssuing(root);
const other = makeIssuing(root, 'Another Issuing CA');
const leaf = makeLeaf(issuer);
const responder = makeResponder(issuer);
const SERIAL = leaf.certificate.serial;



interface Said {
  nonce?: Buffer;
  by?: TestCertificate;
  /** Certificates in the answer. */
  with?: Certificate[];
  about?: { issuer: Certificate; serial: Buffer };
  status?: SingleStatus;
  thisUpdate?: Date;
  nextUpdate?: Date;
}

/** An answer as a responder would sign it. */
function answer({ by = responder, with: certificates = [by.certificate], about = { issuer: issuer.certificate, serial: SERIAL }, status = { status: 'good' }, thisUpdate = NOW, nextUpdate = daysFromNow(1), nonce }: Said = {}): Buffer {
  const certId = parseOcspRequest(ocspRequest(about.issuer, about.serial)).certIds[0]!.raw;
  const data = encodeOcspResponseData({ responderKeyHash: by.key.sha1, producedAt: NOW, responses: [{ certId, certStatus: status, thisUpdate, nextUpdate }], nonce });
  return assembleOcspResponse(data, by.key.algorithm, by.key.sign(data), certificates.map(({ der }) => der));
}
const read = (der: Buffer, now = NOW) => readOcspAnswer(der, issuer.certificate, SERIAL, now);

test('the request names the certificate by the SHA-256 of issuer name and key, and its serial', () => {
  const [certId] = parseOcspRequest(ocspRequest(issuer.certificate, SERIAL)).certIds;
  expect(certId).toMatchObject({ hashAlgorithm: 'sha256', serial: SERIAL, issuerNameHash: createHash('sha256').update(issuer.certificate.subjectName).digest() });
});

test('what the issuer says itself, and what its responder says, is believed', () => {
  expect(read(answer()).certStatus).toEqual({ status: 'good' });
  expect(read(answer({ by: issuer, with: [] })).certStatus).toEqual({ status: 'good' });
  expect(read(answer({ status: { status: 'revoked', at: NOW, reason: 1 } })).certStatus).toMatchObject({ status: 'revoked', reason: 1 });
});

test('an answer made after the question was asked, or by a clock some minutes ahead, is believed', () => {
  expect(read(answer({ thisUpdate: new Date(NOW.getTime() + 1_000) })).certStatus).toEqual({ status: 'good' });
  expect(read(answer({ thisUpdate: new Date(NOW.getTime() + 299_000) })).certStatus).toEqual({ status: 'good' });
  expect(() => read(answer({ thisUpdate: new Date(NOW.getTime() + 301_000) }))).toThrow('not of now');
});

test.each<[string, () => Buffer, string]>([
  ['an error', () => encodeOcspError('tryLater'), 'answered tryLater'],
  ['signed by somebody else', () => answer({ by: makeResponder(other) }), 'not signed'],
  ['signed by a certificate that is no responder', () => answer({ by: leaf }), 'not signed'],
  ['signed by a responder that has ended', () => {
    const ended = { key: responder.key, certificate: issue({ ...responderIntent(issuer), notAfter: daysFromNow(-1), notBefore: daysFromNow(-2) }, issuer.key) };
    return answer({ by: ended });
  }, 'not signed'],
  ['of a responder that claims the issuer, but is not signed by it', () => answer({ by: { key: responder.key, certificate: issue(responderIntent(issuer), other.key) } }), 'not signed'],
  ['changed on the way', () => {
    const der = answer();
    const at = der.indexOf(SERIAL);
    der[at + SERIAL.length - 1]! ^= 1;
    return der;
  }, 'not signed'],
  ['about another certificate', () => answer({ about: { issuer: issuer.certificate, serial: issue(leafIntent(issuer, 'Another'), issuer.key).serial } }), 'about another certificate'],
  ['about the same serial of another issuer', () => answer({ about: { issuer: other.certificate, serial: SERIAL } }), 'about another certificate'],
  ['old', () => answer({ thisUpdate: daysFromNow(-2), nextUpdate: daysFromNow(-1) }), 'not of now'],
  ['of tomorrow', () => answer({ thisUpdate: daysFromNow(1), nextUpdate: daysFromNow(2) }), 'not of now'],
])('an answer that is %s is not believed', (_, make, why) => {
  expect(() => read(make())).toThrow(why);
});

test('a nonce that was sent is repeated: an answer without it, or with another, was made for another question', () => {
  const nonce = Buffer.from('0102030405060708', 'hex');
  expect(parseOcspRequest(ocspRequest(issuer.certificate, SERIAL, nonce)).nonce).toEqual(nonce);
  const readWith = (der: Buffer) => readOcspAnswer(der, issuer.certificate, SERIAL, NOW, nonce);
  expect(readWith(answer({ nonce })).certStatus).toEqual({ status: 'good' });
  expect(() => readWith(answer())).toThrow('does not repeat the nonce');
  expect(() => readWith(answer({ nonce: Buffer.alloc(8) }))).toThrow('repeats another nonce');
});
