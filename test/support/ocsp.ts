import { createHash } from 'node:crypto';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { bitStringBytes, open } from '../../src/x509/der/reader.ts';
import { integer, nullValue, octetString, oid, sequence, TAG } from '../../src/x509/der/writer.ts';
import { OID } from '../../src/x509/oids.ts';
import { decodePem } from '../../src/x509/pem.ts';

/** Makes OCSPRequests (RFC 6960 §4.1, SHA-1 CertIDs, no nonce) for certificates of the issuer whose PEM stands second in a chain. */
export function ocspRequestsOf(chainPem: string): (serial: string) => Buffer {
  const issuer = parseCertificate(decodePem(`-----BEGIN${chainPem.split('-----BEGIN')[2] ?? ''}`, 'CERTIFICATE'));
  const spki = open(issuer.spki).sequence('SubjectPublicKeyInfo');
  spki.expect(TAG.SEQUENCE, 'algorithm');
  const key = bitStringBytes(spki.expect(TAG.BIT_STRING, 'subjectPublicKey'));
  const sha1 = (bytes: Uint8Array) => octetString(createHash('sha1').update(bytes).digest());
  const names = [sequence(oid(OID.sha1), nullValue()), sha1(issuer.subjectName), sha1(key)];
  return (serial) => sequence(sequence(sequence(sequence(sequence(...names, integer(BigInt(`0x${serial}`)))))));
}

/** What an OCSP answer says of one serial, by the tag of its CertStatus; its signature is another test's. */
export function ocspStatusIn(answer: Buffer, serial: string): 'good' | 'revoked' | 'unknown' | 'no answer' {
  const [, after = ''] = answer.toString('hex').split(`0214${serial}`);
  return ({ 80: 'good', a1: 'revoked', 82: 'unknown' } as const)[after.slice(0, 2)] ?? 'no answer';
}
