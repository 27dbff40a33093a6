import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { boolean, bitString, context, integer, nullValue, octetString, oid, sequence, TAG, tlv } from '../../../src/x509/der/writer.ts';
import { OcspRequestError, parseOcspRequest } from '../../../src/x509/ocsp-request.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { grownAtEachLevel } from '../../support/der-growth.ts';
import { makeIssuing, makeLeaf, makeRoot } from '../../support/test-pki.ts';

const SHA1 = '1.3.14.3.2.26';
const SHA256 = '2.16.840.1.101.3.4.2.1';
const SHA384 = '2.16.840.1.101.3.4.2.2';
const NONCE = '1.3.6.1.5.5.7.48.1.2';
const SERVICE_LOCATOR = '1.3.6.1.5.5.7.48.1.7';

const issuing = makeIssuing(makeRoot());
const nameHash = createHash('sha1').update(issuing.name).digest();

const certId = (serial: Buffer = integer(5), digest = SHA1, parameters: Buffer = nullValue()) =>
  sequence(sequence(oid(digest), parameters), octetString(nameHash), octetString(issuing.key.sha1), serial);
const extension = (id: string, value: Buffer, critical = false) => sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
const request = (ids: Buffer[], extensions: Buffer[] = [], before: Buffer[] = [], after: Buffer[] = []) =>
  sequence(
    sequence(...before, sequence(...ids.map((id) => sequence(id))), ...(extensions.length > 0 ? [context(2, sequence(...extensions))] : [])),
    ...after,
  );
const withNonce = (nonce: Buffer) => request([certId()], [extension(NONCE, octetString(nonce))]);

describe('parseOcspRequest', () => {
  test('reads the CertID and keeps its octets', () => {
    const { certIds, nonce } = parseOcspRequest(request([certId(integer(0x80))]));
    expect(nonce).toBeUndefined();
    expect(certIds).toEqual([{ hashAlgorithm: 'sha1', raw: certId(integer(0x80)), issuerNameHash: nameHash, issuerKeyHash: issuing.key.sha1, serial: Buffer.of(0x80) }]);
  });

  test('digest parameters may be NULL or absent', () => {
    const absent = certId(integer(5), SHA256, Buffer.alloc(0));
    expect(parseOcspRequest(request([absent])).certIds[0]).toMatchObject({ hashAlgorithm: 'sha256', raw: absent });
  });

  test('an unknown digest is no fault of the request, but names nobody', () => {
    expect(parseOcspRequest(request([certId(integer(5), SHA384)])).certIds[0]?.hashAlgorithm).toBeUndefined();
  });

  test('several CertIDs keep their order, up to the limit', () => {
    const ids = Array.from({ length: 16 }, (_, i) => certId(integer(i + 1)));
    expect(parseOcspRequest(request(ids)).certIds.map(({ serial }) => serial[0])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    expect(() => parseOcspRequest(request([...ids, certId(integer(17))]))).toThrow(OcspRequestError);
    expect(() => parseOcspRequest(request(ids), { maxBytes: 16_384, maxCertIds: 15 })).toThrow('more than 15');
  });

  test.each([1, 32, 33, 128])('a nonce of %d octets is taken', (length) => {
    expect(parseOcspRequest(withNonce(Buffer.alloc(length, 7))).nonce).toEqual(Buffer.alloc(length, 7));
  });

  test.each([0, 129])('a nonce of %d octets is malformed (RFC 9654 §2.1)', (length) => {
    expect(() => parseOcspRequest(withNonce(Buffer.alloc(length, 7)))).toThrow(OcspRequestError);
  });

  test('a signed request and a requestor name are read over', () => {
    const signature = context(0, sequence(sequence(oid('1.3.101.112')), bitString(Buffer.alloc(64)), context(0, sequence())));
    const requestor = context(1, context(4, sequence()));
    expect(parseOcspRequest(request([certId()], [], [requestor], [signature])).certIds).toHaveLength(1);
  });

  test('a known extension may be critical, an unknown one may not', () => {
    const nonce = Buffer.alloc(16, 1);
    expect(parseOcspRequest(request([certId()], [extension(NONCE, octetString(nonce), true)])).nonce).toEqual(nonce);
    expect(parseOcspRequest(request([certId()], [extension('1.2.3', nullValue())])).certIds).toHaveLength(1);
    expect(() => parseOcspRequest(request([certId()], [extension('1.2.3', nullValue(), true)]))).toThrow('1.2.3');
    const single = (critical: boolean) => sequence(sequence(sequence(sequence(certId(), context(0, sequence(extension(SERVICE_LOCATOR, sequence(), critical)))))));
    expect(parseOcspRequest(single(false)).certIds).toHaveLength(1);
    expect(() => parseOcspRequest(single(true))).toThrow(OcspRequestError);
  });

  test('refuses an element more at every level, but for the octets it keeps', () => {
    const signature = context(0, sequence(sequence(oid('1.3.101.112')), bitString(Buffer.alloc(64)), context(0, sequence())));
    const whole = sequence(
      sequence(
        context(1, context(4, sequence())),
        sequence(sequence(certId(), context(0, sequence(extension(SERVICE_LOCATOR, sequence()))))),
        context(2, sequence(extension(NONCE, octetString(Buffer.of(1))))),
      ),
      signature,
    );
    const accepted = grownAtEachLevel(whole).filter(({ der }) => {
      try {
        return parseOcspRequest(der).certIds.length > 0;
      } catch (error) {
        if (!(error instanceof OcspRequestError)) throw error;
        return false;
      }
    });
    // 0.0.0 is the requestor's name, 0.1.0.0 and 0.1.0.2 are the algorithm and the certificates of the signature.
    expect(accepted.map(({ path }) => path)).toEqual(['0.0.0', '0.0.0.0', '0.0.0.0.0', '0.1.0.0', '0.1.0.2', '0.1.0.2.0']);
  });

  const good = request([certId()]);
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['no certificate', request([])],
    ['a truncated request', good.subarray(0, -1)],
    ['trailing octets', Buffer.concat([good, Buffer.of(0)])],
    ['an indefinite length', Buffer.concat([Buffer.of(0x30, 0x80), good.subarray(2), Buffer.of(0, 0)])],
    ['an explicit version', request([certId()], [], [context(0, integer(0))])],
    ['a negative serial', request([certId(tlv(TAG.INTEGER, Buffer.of(0x80)))])],
    ['a padded serial', request([certId(tlv(TAG.INTEGER, Buffer.of(0, 1)))])],
    ['two nonces', request([certId()], [extension(NONCE, octetString(Buffer.of(1))), extension(NONCE, octetString(Buffer.of(2)))])],
    ['a nonce with more behind it', request([certId()], [extension(NONCE, Buffer.concat([octetString(Buffer.of(1)), nullValue()]))])],
    ['a bare nonce', request([certId()], [extension(NONCE, Buffer.of(1, 2, 3))])],
    ['a CertID with more in it', request([sequence(sequence(oid(SHA1), nullValue(), nullValue()), octetString(nameHash), octetString(nameHash), integer(1))])],
    ['a broken signature', request([certId()], [], [], [context(0, sequence(sequence(oid(SHA1))))])],
    ['more octets than the limit', request([certId()], [extension('1.2.3', octetString(Buffer.alloc(20_000)))])],
  ])('refuses %s', (_, der) => {
    expect(() => parseOcspRequest(der)).toThrow(OcspRequestError);
  });

  test('any octets, and any one changed octet, give a request or an OcspRequestError', () => {
    const read = (der: Uint8Array) => {
      try {
        return parseOcspRequest(der).certIds.length;
      } catch (error) {
        if (error instanceof OcspRequestError) return -1;
        throw error;
      }
    };
    const whole = withNonce(Buffer.alloc(16, 9));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (der) => read(der) >= -1));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), (at, octet) => {
        const changed = Buffer.from(whole);
        changed[at] = octet;
        return read(changed) >= -1;
      }),
      { numRuns: 1000 },
    );
  });
});

test("openssl's request for two certificates is read, with both digests", () => {
  const dir = mkdtempSync(join(tmpdir(), 'signet-ocsp-'));
  try {
    const leaves = [makeLeaf(issuing, 'One'), makeLeaf(issuing, 'Two')];
    const file = (name: string, der: Buffer) => {
      writeFileSync(join(dir, name), encodePem('CERTIFICATE', der));
      return join(dir, name);
    };
    const paths = leaves.map(({ certificate }, i) => file(`leaf${i}.pem`, certificate.der));
    const out = join(dir, 'request.der');
    const args = ['ocsp', '-issuer', file('issuing.pem', issuing.certificate.der), '-cert', paths[0] ?? '', '-sha256', '-cert', paths[1] ?? '', '-nonce', '-reqout', out];
    execFileSync('openssl', args, { stdio: 'pipe' });
    const { certIds, nonce } = parseOcspRequest(readFileSync(out));
    expect(nonce?.length).toBeGreaterThanOrEqual(16);
    expect(certIds.map(({ hashAlgorithm }) => hashAlgorithm)).toEqual(['sha1', 'sha256']);
    expect(certIds.map(({ serial }) => serial)).toEqual(leaves.map(({ certificate }) => certificate.serial));
    expect(certIds[0]).toMatchObject({ issuerNameHash: nameHash, issuerKeyHash: issuing.key.sha1 });
    expect(certIds[1]?.issuerNameHash).toEqual(createHash('sha256').update(issuing.name).digest());
  } finally {
    rmSync(dir, { recursive: true });
  }
});
