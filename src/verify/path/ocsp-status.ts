/** What OCSP answers say of a certificate (RFC 6960 §3.2, §4.2.2): signed by its issuer, or by a responder that the issuer appointed for this alone. */
import { hash } from 'node:crypto';
import { DerError } from '../../x509/der/reader.ts';
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { parseOcspResponse, type BasicOcspResponse, type ParsedSingleResponse } from '../../x509/ocsp-response.ts';
import { OID } from '../../x509/oids.ts';
import { subjectPublicKeyBits } from '../../x509/public-key.ts';
import { crlStatus } from './crl-status.ts';
import { once, type Answer, type Evidence, type Status } from './evidence.ts';
import { algorithmFault, isSignedBy, keyFault, signatureFault } from './keys.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';
import { certificateFault } from './rules.ts';
import { readCertificate } from './store.ts';

/** Certificates in an answer that are tried as its signer. */
const MAX_RESPONDERS = 8;

export const readAnswers = (given: readonly Uint8Array[]): Answer[] => given.map(readAnswer);

function readAnswer(der: Uint8Array): Answer {
  try {
    const { status, basic } = parseOcspResponse(der);
    return basic ?? reason('ocsp-not-successful', `the responder answered ${status}`);
  } catch (error) {
    if (error instanceof DerError) return reason('malformed-ocsp', `an OCSP answer cannot be read: ${error.message}`);
    throw error;
  }
}

/** `above` runs from the issuer to the anchor. */
export function ocspStatus(certificate: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): Status {
  const causes: PathReason[] = [];
  let isGood = false;
  for (const answer of evidence.answers) {
    const said = 'code' in answer ? answer : judge(answer, certificate, above, evidence);
    if ('code' in said) {
      causes.push(said);
      continue;
    }
    for (const single of said) {
      const fault = timeFault(single, certificate, evidence.search.at);
      const { certStatus } = single;
      if (fault) causes.push(fault);
      else if (certStatus.status === 'good') isGood = true;
      else if (certStatus.status === 'unknown') causes.push(reason('ocsp-unknown', `the responder does not know ${nameOf(certificate)}`, certificate));
      else return { state: 'revoked', fault: reason('revoked', `${nameOf(certificate)} is revoked since ${certStatus.at.toISOString()}, by OCSP`, certificate) };
    }
  }
  return isGood ? { state: 'good' } : { state: 'unknown', causes };
}

/** Everything that a usable answer says of the certificate, once or more often, or why it is not usable for it. */
function judge(answer: BasicOcspResponse, certificate: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): ParsedSingleResponse[] | PathReason {
  const [issuer] = above;
  const singles = issuer ? answer.responses.filter((one) => isAbout(one, certificate, issuer)) : [];
  if (!issuer || singles.length === 0) return reason('ocsp-wrong-certificate', `an OCSP answer is not about ${nameOf(certificate)}`, certificate);
  const nonce = evidence.request.ocspNonce;
  if (nonce && !answer.nonce?.equals(nonce)) return reason('ocsp-nonce-mismatch', `an OCSP answer has ${answer.nonce ? 'another nonce than the one sent' : 'no nonce, and one was sent'}`, certificate);
  const fault = singles.map((one) => timeFault(one, certificate, evidence.search.at));
  if (fault[0] && fault.every(Boolean)) return fault[0];
  return algorithmFault(answer.signatureAlgorithm, evidence.search.allowLegacy, 'an OCSP answer') ?? signerFault(answer, issuer, above, evidence) ?? singles;
}

function timeFault({ thisUpdate, nextUpdate }: ParsedSingleResponse, certificate: ForeignCertificate, at: Date): PathReason | undefined {
  if (at < thisUpdate) return reason('ocsp-stale', `an OCSP answer is of ${thisUpdate.toISOString()}, which is yet to come`, certificate);
  if (nextUpdate && at <= nextUpdate) return undefined;
  return reason('ocsp-stale', nextUpdate ? `an OCSP answer held until ${nextUpdate.toISOString()}` : 'an OCSP answer does not say until when it holds', certificate);
}

/** CertID (§4.1.1): name and key of the issuer by digest, and the serial number. */
function isAbout({ hashAlgorithm, issuerNameHash, issuerKeyHash, serial }: ParsedSingleResponse, certificate: ForeignCertificate, issuer: ForeignCertificate): boolean {
  if (!hashAlgorithm || !serial.equals(magnitude(certificate.serial))) return false;
  return issuerNameHash.equals(hash(hashAlgorithm, certificate.issuer.der, 'buffer')) && issuerKeyHash.equals(hash(hashAlgorithm, subjectPublicKeyBits(issuer.spki), 'buffer'));
}

const magnitude = (serial: Buffer): Buffer => (serial[0] === 0 && serial.length > 1 ? serial.subarray(1) : serial);

/** §4.2.2.2: the issuer itself, or whoever has its certificate for OCSPSigning. */
function signerFault(answer: BasicOcspResponse, issuer: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): PathReason | undefined {
  const { budget, allowLegacy } = evidence.search;
  const isSigner = (signer: ForeignCertificate) => 
    once(evidence.found.signatures, answer, signer.spki.toString('hex'), () => isSignedBy(signer, answer.signatureAlgorithm, answer.responseData, answer.signature, budget));
  if (isNamed(answer, issuer) && !keyFault(issuer, allowLegacy) && isSigner(issuer)) return undefined;
  let fault: PathReason = reason('ocsp-bad-signature', `an OCSP answer is not signed by ${nameOf(issuer)}, nor by a responder whose certificate is with it`, issuer);
  for (const der of answer.certificates.slice(0, MAX_RESPONDERS)) {
    const responder = readCertificate(der);
    if ('code' in responder || keyFault(responder, allowLegacy) || !isNamed(answer, responder) || !isSigner(responder)) continue;
    const unauthorized = responderFault(responder, issuer, above, evidence);
    if (!unauthorized) return undefined;
    fault = unauthorized;
  }
  return fault;
}

/** Whether the answer names this certificate as its responder: by key or by name (§4.2.1). */
const isNamed = ({ responder }: BasicOcspResponse, { spki, subject }: ForeignCertificate): boolean =>
  'keyHash' in responder ? responder.keyHash.equals(hash('sha1', subjectPublicKeyBits(spki), 'buffer')) : responder.name.equals(subject.der);

function responderFault(responder: ForeignCertificate, issuer: ForeignCertificate, above: readonly ForeignCertificate[], evidence: Evidence): PathReason | undefined {
  const { search } = evidence;
  const refused = (why: string) => reason('ocsp-responder-not-authorized', `the OCSP responder ${nameOf(responder)} ${why}`, responder);
  if (responder.issuer.key !== issuer.subject.key || signatureFault(responder, issuer, search.allowLegacy, search.budget)) return refused('is not certified by the issuer itself');
  if (!responder.extendedKeyUsage?.includes('OCSPSigning')) return refused('has not the extended key usage OCSPSigning');
  if (responder.keyUsage && !responder.keyUsage.includes('digitalSignature') && !responder.keyUsage.includes('nonRepudiation')) return refused('may not sign by its key usage');
  if (search.at < responder.notBefore || search.at > responder.notAfter) return refused('is not valid at this time');
  const broken = certificateFault(responder, 'leaf');
  if (broken) return refused(`is not valid: ${broken.message}`);
  // §4.2.2.2.1: nocheck, or a list that knows better. Another OCSP answer could only come from the same responder.
  if (responder.extensions.some(({ oid }) => oid === OID.ocspNoCheck)) return undefined;
  return crlStatus(responder, above, evidence).state === 'good' ? undefined : refused('may be revoked: it has no nocheck, and no list says that it is good');
}
