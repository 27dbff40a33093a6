import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { DerError } from '../../../src/x509/der/reader.ts';
import { bitString, boolean, context, contextPrimitive, generalizedTime, integer, nullValue, octetString, oid, sequence } from '../../../src/x509/der/writer.ts';
import { assembleOcspResponse, encodeOcspError, encodeOcspResponseData, parseOcspResponse, type OcspResponseData, type SingleStatus } from '../../../src/x509/ocsp-response.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { verifySignature } from '../../../src/x509/public-key.ts';
import { grownAtEachLevel } from '../../support/der-growth.ts';
import { makeIssuing, makeLeaf, makeResponder, makeRoot, NOW } from '../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);
const responder = makeResponder(issuing);
const UNTIL = new Date(NOW.getTime() + 600_000);

const certId = (serial: Uint8Array): Buffer =>
  sequence(
    sequence(oid('1.3.14.3.2.26'), nullValue()),
    octetString(createHash('sha1').update(issuing.name).digest()),
    octetString(issuing.key.sha1),
    integer(BigInt(`0x${Buffer.from(serial).toString('hex')}`)),
  );
const data = (statuses: [Uint8Array, SingleStatus][], nonce?: Buffer): OcspResponseData => ({
  responderKeyHash: responder.key.sha1,
  producedAt: NOW,
  responses: statuses.map(([serial, certStatus]) => ({ certId: certId(serial), certStatus, thisUpdate: NOW, nextUpdate: UNTIL })),
  nonce,
});
const signed = (answer: OcspResponseData): Buffer => {
  const responseData = encodeOcspResponseData(answer);
  return assembleOcspResponse(responseData, responder.key.algorithm, responder.key.sign(responseData), [responder.certificate.der]);
};

const STATUSES: [Uint8Array, SingleStatus][] = [
  [Buffer.of(1), { status: 'good' }],
  [Buffer.of(2), { status: 'revoked', at: NOW, reason: 1 }],
  [Buffer.of(3), { status: 'revoked', at: NOW }],
  [Buffer.of(4), { status: 'unknown' }],
];

describe('encodeOcspResponseData', () => {
  test('every status has exactly these octets', () => {
    const at = '180f32303236313132313030303030305a';
    const until = 'a011180f32303236313132313030313030305a';
    const id = (serial: string) => certId(Buffer.from(serial, 'hex')).toString('hex');
    expect(encodeOcspResponseData(data(STATUSES, Buffer.from('aabb', 'hex'))).toString('hex')).toBe(
      [
        '308201fb',
        `a2160414${responder.key.sha1.toString('hex')}`,
        at,
        '308201b7',
        `3062${id('01')}8000${at}${until}`,
        `3078${id('02')}a116${at}a0030a0101${at}${until}`,
        `3073${id('03')}a111${at}${at}${until}`,
        `3062${id('04')}8200${at}${until}`,
        'a1153013301106092b060105050730010204040402aabb',
      ].join(''),
    );
  });

  test('reason unspecified is left out', () => {
    const withReason = (reason: number | undefined) => encodeOcspResponseData(data([[Buffer.of(1), { status: 'revoked', at: NOW, reason }]]));
    expect(withReason(0)).toEqual(withReason(undefined));
    expect(withReason(5)).not.toEqual(withReason(undefined));
  });

  test('error answers have three octets of content', () => {
    const hex = (['malformedRequest', 'internalError', 'tryLater', 'unauthorized'] as const).map((status) => encodeOcspError(status).toString('hex'));
    expect(hex).toEqual(['30030a0101', '30030a0102', '30030a0103', '30030a0106']);
  });
});

describe('parseOcspResponse', () => {
  test('reads back what was encoded', () => {
    const { status, basic } = parseOcspResponse(signed(data(STATUSES, Buffer.of(9))));
    expect(status).toBe('successful');
    expect(basic).toMatchObject({ responder: { keyHash: responder.key.sha1 }, producedAt: NOW, nonce: Buffer.of(9), certificates: [responder.certificate.der] });
    expect(basic?.responses.map(({ serial, certStatus, thisUpdate, nextUpdate }) => [serial, certStatus, thisUpdate, nextUpdate])).toEqual(
      STATUSES.map(([serial, certStatus]) => [serial, certStatus, NOW, UNTIL]),
    );
    if (!basic) throw new Error('no basic response');
    expect(verifySignature(responder.key.spki, basic.signatureAlgorithm, basic.responseData, basic.signature)).toBe(true);
  });

  test('reads error answers', () => {
    expect(parseOcspResponse(encodeOcspError('tryLater'))).toEqual({ status: 'tryLater', basic: undefined });
  });

  test.each([
    ['an error with an answer', sequence(Buffer.from('0a0103', 'hex'), Buffer.from('a0023000', 'hex'))],
    ['success without an answer', sequence(Buffer.from('0a0100', 'hex'))],
    ['an unknown status', sequence(Buffer.from('0a0104', 'hex'))],
    ['trailing octets', Buffer.concat([signed(data(STATUSES)), Buffer.of(0)])],
    ['a truncated answer', signed(data(STATUSES)).subarray(0, -1)],
  ])('refuses %s', (_, der) => {
    expect(() => parseOcspResponse(der)).toThrow(DerError);
  });

  test('refuses an element more at every level, but for the octets it keeps', () => {
    const read = (der: Uint8Array) => {
      try {
        return parseOcspResponse(der).status === 'successful';
      } catch (error) {
        if (!(error instanceof DerError)) throw error;
        return false;
      }
    };
    const wrap = (basic: Buffer, type = '1.3.6.1.5.5.7.48.1.1') => sequence(Buffer.from('0a0100', 'hex'), context(0, sequence(oid(type), octetString(basic))));
    const basic = sequence(encodeOcspResponseData(data(STATUSES, Buffer.of(9))), sequence(oid('1.3.101.112')), bitString(Buffer.alloc(64)), context(0, sequence(sequence())));
    expect(read(wrap(basic))).toBe(true);
    expect(grownAtEachLevel(wrap(basic)).filter(({ der }) => read(der))).toEqual([]);
    expect(read(wrap(Buffer.concat([basic, nullValue()])))).toBe(false);
    expect(read(wrap(basic, '1.3.6.1.5.5.7.48.1.9'))).toBe(false);
    // 0.1 is the algorithm, 0.3.0.0 the certificate.
    const accepted = grownAtEachLevel(basic).filter(({ der }) => read(wrap(der)));
    expect(accepted.map(({ path }) => path)).toEqual(['0.1', '0.3.0.0']);
  });

  const single = (status: Buffer, extensions: Buffer[] = []) =>
    sequence(certId(Buffer.of(1)), status, generalizedTime(NOW), ...extensions.map((one) => context(1, sequence(one))));
  const answer = (responder: Buffer, one: Buffer) => {
    const basic = sequence(sequence(responder, generalizedTime(NOW), sequence(one)), sequence(oid('1.3.101.112')), bitString(Buffer.alloc(64)));
    return sequence(Buffer.from('0a0100', 'hex'), context(0, sequence(oid('1.3.6.1.5.5.7.48.1.1'), octetString(basic))));
  };
  const good = contextPrimitive(0, Buffer.alloc(0));
  const byKey = context(2, octetString(Buffer.alloc(20)));
  const critical = sequence(oid('1.2.3.4'), boolean(true), octetString(nullValue()));

  test('a responder may be named by its Name, and nextUpdate be left out', () => {
    const { basic } = parseOcspResponse(answer(context(1, issuing.name), single(good)));
    expect(basic).toMatchObject({ responder: { name: issuing.name }, responses: [{ nextUpdate: undefined }] });
  });

  test.each([
    ['a responder of another kind', answer(context(3, issuing.name), single(good))],
    ['an unknown status of one certificate', answer(byKey, single(contextPrimitive(3, Buffer.alloc(0))))],
    ['a good status with content', answer(byKey, single(contextPrimitive(0, Buffer.of(0))))],
    ['an unknown critical extension of one certificate', answer(byKey, single(good, [critical]))],
  ])('refuses %s', (_, der) => {
    expect(() => parseOcspResponse(der)).toThrow(DerError);
  });

  test('any octets, and any one changed octet, give an answer or a DerError', () => {
    const read = (der: Uint8Array) => {
      try {
        return parseOcspResponse(der).status.length;
      } catch (error) {
        if (error instanceof DerError) return 0;
        throw error;
      }
    };
    const whole = signed(data(STATUSES, Buffer.of(9)));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (der) => read(der) >= 0));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), (at, octet) => {
        const changed = Buffer.from(whole);
        changed[at] = octet;
        return read(changed) >= 0;
      }),
      { numRuns: 1000 },
    );
  });
});

describe('other programs', () => {
  test('pkijs reads the same answer', () => {
    const der = signed(data(STATUSES, Buffer.of(9)));
    const response = pkijs.OCSPResponse.fromBER(Uint8Array.from(der));
    const basic = pkijs.BasicOCSPResponse.fromBER(response.responseBytes?.response.valueBlock.valueHexView ?? new Uint8Array());
    expect(basic.tbsResponseData.producedAt).toEqual(NOW);
    expect(basic.tbsResponseData.responses.map((one) => (one.certStatus as { idBlock: { tagNumber: number } }).idBlock.tagNumber)).toEqual([0, 1, 1, 2]);
    expect(Buffer.from(basic.certs?.[0]?.toSchema(true).toBER() ?? new ArrayBuffer(0))).toEqual(responder.certificate.der);
  });

  test('openssl verifies the delegated answer and shows each status; a changed answer fails', () => {
    const dir = mkdtempSync(join(tmpdir(), 'signet-ocsp-'));
    try {
      const pem = (name: string, der: Buffer) => {
        writeFileSync(join(dir, name), encodePem('CERTIFICATE', der));
        return join(dir, name);
      };
      const [ca, sub] = [pem('root.pem', root.certificate.der), pem('issuing.pem', issuing.certificate.der)];
      const leaves = STATUSES.map(([, status], i) => ({ status, leaf: makeLeaf(issuing, `Agent ${i}`) }));
      const paths = leaves.map(({ leaf }, i) => pem(`leaf${i}.pem`, leaf.certificate.der));
      const ask = (der: Buffer) => {
        writeFileSync(join(dir, 'response.der'), der);
        // -attime judges the certificates; the answer's own times are judged by the real clock, so they are allowed to be old.
        const args = ['ocsp', '-respin', join(dir, 'response.der'), '-issuer', sub, ...paths.flatMap((path) => ['-cert', path]), '-no_nonce'];
        const verify = ['-CAfile', ca, '-verify_other', sub, '-attime', String(NOW.getTime() / 1000), '-validity_period', '4000000000'];
        return execFileSync('openssl', [...args, ...verify], { stdio: 'pipe' }).toString();
      };
      const answer = signed(data(leaves.map(({ leaf, status }) => [leaf.certificate.serial, status])));
      const shown = ask(answer);
      expect([...shown.matchAll(/leaf\d.pem: (\w+)/g)].map((match) => match[1])).toEqual(['good', 'revoked', 'revoked', 'unknown']);
      expect(shown).toMatch(/Reason: keyCompromise/);
      const forged = Buffer.from(answer);
      const good = forged.indexOf(Buffer.from('8000180f', 'hex'));
      forged[good] = 0x82;
      expect(() => ask(forged)).toThrow(/Response Verify Failure/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
