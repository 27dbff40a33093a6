/** OCSP responses (RFC 6960 §4.2): encoded for the responder, read strictly for verifiers and tests. Answers always name the responder by key. */
import { bitStringBytes, DEFAULT_LIMITS, DerError, oidValue, open, smallInteger, timeValue, type DerCursor, type DerLimits } from './der/reader.ts';
import { context, contextPrimitive, enumerated, generalizedTime, layer, oid, sequence, TAG, writeLayers, type Layer } from './der/writer.ts';
import { encodeExtensions, parseExtensions } from './extensions/extension.ts';
import { encodeNonce, parseNonce } from './extensions/ocsp-nonce.ts';
import { parseCertId, type OcspCertId } from './ocsp-request.ts';
import { OID } from './oids.ts';

/** OCSPResponseStatus (§4.2.1). */
const RESPONSE_STATUS = { successful: 0, malformedRequest: 1, internalError: 2, tryLater: 3, sigRequired: 5, unauthorized: 6 } as const;
export type OcspResponseStatus = keyof typeof RESPONSE_STATUS;

/** What is said of one certificate (§2.2). `reason` is a CRLReason; `unspecified` (0) and undefined are left out. */
export type SingleStatus = { status: 'good' } | { status: 'revoked'; at: Date; reason?: number | undefined } | { status: 'unknown' };

export interface SingleResponse {
  /** CertID as asked, DER (OcspCertId.raw). */
  certId: Uint8Array;
  certStatus: SingleStatus;
  /** When the status was known to be correct, and until when it may be relied on (§2.4). */
  thisUpdate: Date;
  nextUpdate: Date;
}

export interface OcspResponseData {
  /** SHA-1 of the responder's subjectPublicKey bits (§4.2.1 KeyHash). */
  responderKeyHash: Uint8Array;
  producedAt: Date;
  responses: readonly SingleResponse[];
  /** The nonce of the request, if it had one (RFC 9654 §2.1). */
  nonce: Uint8Array | undefined;
}

/** ResponseData, the octets a responder signs. */
export function encodeOcspResponseData({ responderKeyHash, producedAt, responses, nonce }: OcspResponseData): Buffer {
  return writeLayers(layer(
    TAG.SEQUENCE,
    layer(CONTEXT_2, layer(TAG.OCTET_STRING, responderKeyHash)),
    generalizedTime(producedAt),
    layer(TAG.SEQUENCE, ...responses.map(singleResponse)),
    ...(nonce === undefined ? [] : [context(1, encodeExtensions([encodeNonce(nonce)]))]),
  ));
}

const singleResponse = ({ certId, certStatus, thisUpdate, nextUpdate }: SingleResponse): Layer =>
  layer(TAG.SEQUENCE, certId, encodeStatus(certStatus), generalizedTime(thisUpdate), layer(CONTEXT_0, generalizedTime(nextUpdate)));

function encodeStatus(status: SingleStatus): Buffer {
  switch (status.status) {
    case 'good':
      return GOOD;
    case 'revoked':
      return context(1, generalizedTime(status.at), ...(status.reason ? [context(0, enumerated(status.reason))] : []));
    case 'unknown':
      return UNKNOWN;
  }
}

/** A successful OCSPResponse; `certs` are the DER certificates a client needs to trust the signer. */
export function assembleOcspResponse(responseData: Uint8Array, signatureAlgorithm: Uint8Array, signature: Uint8Array, certs: readonly Uint8Array[]): Buffer {
  const certificates = certs.length === 0 ? [] : [layer(CONTEXT_0, layer(TAG.SEQUENCE, ...certs))];
  const basic = layer(TAG.SEQUENCE, responseData, signatureAlgorithm, layer(TAG.BIT_STRING, NO_UNUSED_BITS, signature), ...certificates);
  return writeLayers(layer(TAG.SEQUENCE, SUCCESSFUL, layer(CONTEXT_0, layer(TAG.SEQUENCE, OCSP_BASIC, layer(TAG.OCTET_STRING, basic)))));
}

const CONTEXT_0 = 0xa0;
const CONTEXT_2 = 0xa2;
const GOOD = contextPrimitive(0, Buffer.alloc(0));
const UNKNOWN = contextPrimitive(2, Buffer.alloc(0));
const SUCCESSFUL = enumerated(RESPONSE_STATUS.successful);
const OCSP_BASIC = oid(OID.ocspBasic);
const NO_UNUSED_BITS = Uint8Array.of(0);

/** An unsigned error answer (§2.3). */
export const encodeOcspError = (status: 'malformedRequest' | 'internalError' | 'tryLater' | 'unauthorized'): Buffer =>
  sequence(enumerated(RESPONSE_STATUS[status]));

/** One answer as read. */
export interface ParsedSingleResponse extends Omit<OcspCertId, 'raw'> {
  certId: Buffer;
  certStatus: SingleStatus;
  thisUpdate: Date;
  nextUpdate: Date | undefined;
}

/** The signed part of an answer as read; buffers are views into the input. */
export interface BasicOcspResponse {
  /** ResponseData with its header: what the signature covers. */
  responseData: Buffer;
  signatureAlgorithm: Buffer;
  signature: Buffer;
  certificates: Buffer[];
  /** How the responder is named: SHA-1 of its key, or its Name (DER). */
  responder: { keyHash: Buffer } | { name: Buffer };
  producedAt: Date;
  responses: ParsedSingleResponse[];
  nonce: Buffer | undefined;
}

export interface OcspResponse {
  status: OcspResponseStatus;
  /** Present exactly when the status is `successful`. */
  basic: BasicOcspResponse | undefined;
}

/** Reads an OCSPResponse; its signature is not checked. @throws DerError */
export function parseOcspResponse(der: Uint8Array, limits: DerLimits = DEFAULT_LIMITS): OcspResponse {
  const top = open(der, limits);
  const response = top.sequence('OCSPResponse');
  top.end('OCSPResponse');
  const code = response.expect(TAG.ENUMERATED, 'responseStatus');
  const status = (Object.keys(RESPONSE_STATUS) as OcspResponseStatus[]).find((name) => RESPONSE_STATUS[name] === smallInteger(code));
  if (!status) throw new DerError('unknown responseStatus', code.offset);
  const wrapped = response.optional(0xa0);
  response.end('OCSPResponse');
  if ((wrapped !== undefined) !== (status === 'successful')) throw new DerError('responseBytes do not fit the status', code.offset);
  if (!wrapped) return { status, basic: undefined };

  const wrapper = response.descend(wrapped);
  const bytes = wrapper.sequence('ResponseBytes');
  wrapper.end('responseBytes');
  const type = bytes.expect(TAG.OID, 'responseType');
  if (oidValue(type) !== OID.ocspBasic) throw new DerError('responseType is not id-pkix-ocsp-basic', type.offset);
  const octets = bytes.expect(TAG.OCTET_STRING, 'response');
  bytes.end('ResponseBytes');
  const inside = bytes.inside(octets);
  const basic = inside.sequence('BasicOCSPResponse');
  inside.end('response');
  return { status, basic: parseBasic(basic) };
}

function parseBasic(basic: DerCursor): BasicOcspResponse {
  const responseData = basic.expect(TAG.SEQUENCE, 'tbsResponseData');
  const signatureAlgorithm = basic.expect(TAG.SEQUENCE, 'signatureAlgorithm').raw;
  const signature = bitStringBytes(basic.expect(TAG.BIT_STRING, 'signature'));
  const wrapped = basic.optional(0xa0);
  basic.end('BasicOCSPResponse');
  const certificates: Buffer[] = [];
  if (wrapped) {
    const outer = basic.descend(wrapped);
    const certs = outer.sequence('certs');
    outer.end('certs');
    while (!certs.done) certificates.push(certs.expect(TAG.SEQUENCE, 'certificate').raw);
  }
  return { responseData: responseData.raw, signatureAlgorithm, signature, certificates, ...parseResponseData(basic.descend(responseData)) };
}

function parseResponseData(data: DerCursor): Pick<BasicOcspResponse, 'responder' | 'producedAt' | 'responses' | 'nonce'> {
  const responder = parseResponder(data);
  const producedAt = timeValue(data.expect(TAG.GENERALIZED_TIME, 'producedAt'), false);
  const list = data.sequence('responses');
  const wrapped = data.optional(0xa1);
  data.end('ResponseData');
  const responses: ParsedSingleResponse[] = [];
  while (!list.done) responses.push(parseSingleResponse(list.sequence('SingleResponse')));
  const extensions = wrapped ? parseExtensions(data.descend(wrapped)) : [];
  if (wrapped && extensions.some((extension) => extension.critical && extension.oid !== OID.ocspNonce)) {
    throw new DerError('unknown critical extension in ResponseData', wrapped.offset);
  }
  const nonce = extensions.find((extension) => extension.oid === OID.ocspNonce);
  return { responder, producedAt, responses, nonce: nonce && parseNonce(nonce.value) };
}

function parseResponder(data: DerCursor): BasicOcspResponse['responder'] {
  const node = data.next();
  const inner = data.descend(node);
  const responder = node.tag === 0xa2 ? { keyHash: inner.expect(TAG.OCTET_STRING, 'byKey').content } : { name: inner.expect(TAG.SEQUENCE, 'byName').raw };
  inner.end('responderID');
  if (node.tag !== 0xa1 && node.tag !== 0xa2) throw new DerError('bad responderID', node.offset);
  return responder;
}

function parseSingleResponse(single: DerCursor): ParsedSingleResponse {
  const id = single.expect(TAG.SEQUENCE, 'certID');
  const certStatus = parseStatus(single);
  const thisUpdate = timeValue(single.expect(TAG.GENERALIZED_TIME, 'thisUpdate'), false);
  const until = single.optional(0xa0);
  const nextUpdate = until && onlyTime(single.descend(until));
  const wrapped = single.optional(0xa1);
  single.end('SingleResponse');
  const extensions = wrapped ? parseExtensions(single.descend(wrapped)) : [];
  if (extensions.some((extension) => extension.critical)) throw new DerError('unknown critical extension in SingleResponse', id.offset);
  return { certId: id.raw, ...parseCertId(single.descend(id)), certStatus, thisUpdate, nextUpdate };
}

function parseStatus(single: DerCursor): SingleStatus {
  const node = single.next();
  if (node.tag === 0xa1) return parseRevoked(single.descend(node));
  if ((node.tag !== 0x80 && node.tag !== 0x82) || node.content.length > 0) throw new DerError('bad certStatus', node.offset);
  return { status: node.tag === 0x80 ? 'good' : 'unknown' };
}

function parseRevoked(revoked: DerCursor): SingleStatus {
  const at = timeValue(revoked.expect(TAG.GENERALIZED_TIME, 'revocationTime'), false);
  const wrapped = revoked.optional(0xa0);
  revoked.end('RevokedInfo');
  if (!wrapped) return { status: 'revoked', at };
  const inner = revoked.descend(wrapped);
  const reason = smallInteger(inner.expect(TAG.ENUMERATED, 'revocationReason'));
  inner.end('revocationReason');
  return { status: 'revoked', at, reason };
}

function onlyTime(wrapper: DerCursor): Date {
  const at = timeValue(wrapper.expect(TAG.GENERALIZED_TIME, 'nextUpdate'), false);
  wrapper.end('nextUpdate');
  return at;
}
