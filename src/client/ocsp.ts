import { createHash } from 'node:crypto';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { context, nullValue, octetString, oid, sequence, unsignedInteger } from '../x509/der/writer.ts';
import { encodeExtensions } from '../x509/extensions/extension.ts';
import { encodeNonce } from '../x509/extensions/ocsp-nonce.ts';
import { parseOcspResponse, type BasicOcspResponse, type ParsedSingleResponse } from '../x509/ocsp-response.ts';
import { OID } from '../x509/oids.ts';
import { subjectPublicKeyBits, verifySignature } from '../x509/public-key.ts';

/** The responder did not answer, or its answer cannot be believed. */
export class OcspAnswerError extends Error {
  override readonly name = 'OcspAnswerError';
}

/** How far ahead of ours a responder's clock may be before its answer is not believed. OpenSSL's own tools allow the same. */
const CLOCK_TOLERANCE_MS = 300_000;

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** A request about one certificate (RFC 6960 §4.1.1), unsigned. Without a nonce an answer may come from a cache. */
export function ocspRequest(issuer: Certificate, serial: Buffer, nonce?: Uint8Array): Buffer {
  const certId = sequence(
    sequence(oid(OID.sha256), nullValue()),
    octetString(sha256(issuer.subjectName)),
    octetString(sha256(subjectPublicKeyBits(issuer.spki))),
    unsignedInteger(serial),
  );
  const extensions = nonce === undefined ? [] : [context(2, encodeExtensions([encodeNonce(nonce)]))];
  return sequence(sequence(sequence(sequence(certId)), ...extensions));
}

/**
 * What a responder says of the certificate. `nonce`: the one that was sent, which the answer must repeat (RFC 9654 §2.1): it was made for this question. @throws OcspAnswerError when it says nothing, or nothing that
 * `issuer` vouches for at `now`; DerError
 */
export function readOcspAnswer(der: Uint8Array, issuer: Certificate, serial: Buffer, now: Date, nonce?: Uint8Array): ParsedSingleResponse {
  const { status, basic } = parseOcspResponse(der);
  if (!basic) throw new OcspAnswerError(`the responder answered ${status}`);
  assertSigned(basic, issuer, now);
  if (nonce !== undefined && basic.nonce?.equals(nonce) !== true) throw new OcspAnswerError(`the answer ${basic.nonce ? 'repeats another nonce' : 'does not repeat the nonce'}: it was made for another question`);
  const found = basic.responses.find((response) => response.serial.equals(serial) && response.issuerKeyHash.equals(sha256(subjectPublicKeyBits(issuer.spki))));
  if (!found) throw new OcspAnswerError('the answer is about another certificate');
  const isEarly = found.thisUpdate.getTime() > now.getTime() + CLOCK_TOLERANCE_MS;
  if (isEarly || (found.nextUpdate !== undefined && found.nextUpdate < now)) throw new OcspAnswerError('the answer is not of now: compare the clocks');
  return found;
}

/** By the issuer itself, or by a responder it made for that alone (RFC 6960 §4.2.2.2). */
function assertSigned(basic: BasicOcspResponse, issuer: Certificate, now: Date): void {
  const responders = [issuer, ...basic.certificates.map((der) => parseCertificate(der)).filter((certificate) => isDelegated(certificate, issuer, now))];
  const isSigned = responders.some(({ spki }) => verifySignature(spki, basic.signatureAlgorithm, basic.responseData, basic.signature));
  if (!isSigned) throw new OcspAnswerError('the answer is not signed by the issuer, nor by a responder of its own');
}

const isDelegated = (responder: Certificate, issuer: Certificate, now: Date): boolean =>
  responder.issuerName.equals(issuer.subjectName) &&
  responder.extendedKeyUsage?.includes('OCSPSigning') === true &&
  responder.notBefore <= now &&
  now <= responder.notAfter &&
  verifySignature(issuer.spki, responder.signatureAlgorithm, responder.tbs, responder.signature);
