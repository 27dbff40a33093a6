/** Certification requests (PKCS #10, RFC 2986), read strictly. A CSR gives the key and the proof of possession; what else it says is a wish. */
import { SignetError } from '../core/errors.ts';
import { bitStringBytes, DEFAULT_LIMITS, DerError, oidValue, open, smallInteger, type DerCursor, type DerNode } from './der/reader.ts';
import { TAG } from './der/writer.ts';
import { parseBasicConstraints } from './extensions/basic-constraints.ts';
import { parseExtendedKeyUsage } from './extensions/extended-key-usage.ts';
import { DuplicateExtensionError, parseExtensionList, type Extension } from './extensions/extension.ts';
import { parseKeyUsage, type KeyUsage } from './extensions/key-usage.ts';
import { parseSubjectAlternativeName } from './extensions/subject-alternative-name.ts';
import { parseRelativeNames, type NameAttribute } from './names.ts';
import { OID } from './oids.ts';
import { parsePublicKey, verifySignature, type PublicKeyInfo } from './public-key.ts';

/** What the extensions of a CSR ask for. Whoever asks to be a CA is refused while parsing. */
export interface RequestedExtensions {
  uris: string[];
  dnsNames: string[];
  /** How many e-mail addresses, IP addresses and names of other kinds. */
  otherNames: number;
  keyUsage: KeyUsage[] | undefined;
  /** Names of known purposes, dotted OIDs of others. */
  extendedKeyUsage: string[] | undefined;
}

/** A CSR as read; buffers are views into `der`. Its signature is checked by verifyCsr. */
export interface CertificateRequest {
  der: Buffer;
  /** CertificationRequestInfo: what the signature covers. */
  tbs: Buffer;
  subject: NameAttribute[];
  publicKey: PublicKeyInfo;
  /** AlgorithmIdentifier, DER. */
  signatureAlgorithm: Buffer;
  signature: Buffer;
  requested: RequestedExtensions;
}

export interface CsrLimits {
  /** Octets of the whole request. */
  maxBytes: number;
  /** Attributes of the subject and alternative names together. */
  maxNames: number;
}

/**
 * Reads a CSR.
 * @throws SignetError `csr-malformed`, `csr-too-large`, `csr-attribute-duplicated`, `csr-extension-unsupported`, `csr-ca-requested`,
 * `key-type-not-allowed`, `key-weak`, and nothing else, whatever the octets are
 */
export function parseCsr(der: Uint8Array, limits: CsrLimits): CertificateRequest {
  if (der.length > limits.maxBytes) throw new SignetError('csr-too-large', `the CSR has ${der.length} octets, more than ${limits.maxBytes}`);
  try {
    const csr = parseRequest(open(der, { ...DEFAULT_LIMITS, maxBytes: limits.maxBytes }));
    const { uris, dnsNames, otherNames } = csr.requested;
    const names = csr.subject.length + uris.length + dnsNames.length + otherNames;
    if (names > limits.maxNames) throw new SignetError('csr-too-large', `the CSR asks for ${names} names, more than ${limits.maxNames}`);
    return csr;
  } catch (error) {
    if (error instanceof DuplicateExtensionError) throw new SignetError('csr-extension-unsupported', `the CSR asks twice: ${error.message}`, { cause: error });
    if (error instanceof DerError) throw new SignetError('csr-malformed', `the CSR is not strict DER: ${error.message}`, { cause: error });
    throw error;
  }
}

function parseRequest(top: DerCursor): CertificateRequest {
  const outer = top.expect(TAG.SEQUENCE, 'CertificationRequest');
  top.end('CertificationRequest');
  const parts = top.descend(outer);
  const info = parts.expect(TAG.SEQUENCE, 'CertificationRequestInfo');
  const signatureAlgorithm = parts.expect(TAG.SEQUENCE, 'signatureAlgorithm').raw;
  const signature = bitStringBytes(parts.expect(TAG.BIT_STRING, 'signature'));
  parts.end('CertificationRequest');

  const fields = parts.descend(info);
  const version = fields.expect(TAG.INTEGER, 'version');
  if (smallInteger(version) !== 0) throw new DerError('CSR is not version 1', version.offset);
  const subject = fields.expect(TAG.SEQUENCE, 'subject');
  const spki = fields.expect(TAG.SEQUENCE, 'subjectPKInfo').raw;
  const attributes = fields.expect(0xa0, 'attributes');
  fields.end('CertificationRequestInfo');
  return {
    der: outer.raw,
    tbs: info.raw,
    subject: parseRelativeNames(fields.descend(subject)),
    requested: requestedExtensions(parseAttributes(fields.descend(attributes))),
    publicKey: parsePublicKey(spki),
    signatureAlgorithm,
    signature,
  };
}

/** Extensions of the one extensionRequest; other attributes (challengePassword, …) are read over. Their order is not checked: too many tools write it wrong. */
function parseAttributes(attributes: DerCursor): Extension[] {
  const seen = new Set<string>();
  let extensions: Extension[] = [];
  while (!attributes.done) {
    const attribute = attributes.sequence('Attribute');
    const type = attributeType(attribute.expect(TAG.OID, 'attribute type'));
    const values = attribute.descend(attribute.expect(TAG.SET, 'attribute values'));
    attribute.end('Attribute');
    if (seen.has(type)) throw new SignetError('csr-attribute-duplicated', `the CSR has attribute ${type} twice`);
    seen.add(type);
    if (type === OID.extensionRequest) extensions = parseExtensionRequest(values);
  }
  return extensions;
}

/** Both names of extensionRequest count as one: no request may hide in the other. */
function attributeType(node: DerNode): string {
  const type = oidValue(node);
  return type === OID.microsoftCertExtensions ? OID.extensionRequest : type;
}

/** SET SIZE (1) OF Extensions (RFC 2985 §5.4.2). */
function parseExtensionRequest(values: DerCursor): Extension[] {
  const first = values.expect(TAG.SEQUENCE, 'extensionRequest');
  if (!values.done) throw new SignetError('csr-attribute-duplicated', 'the extensionRequest of the CSR has more than one value');
  // It may be empty: some tools write it so when nothing is asked for.
  return parseExtensionList(values.descend(first));
}

/** Extensions that may be asked for as critical: those we read. */
const UNDERSTOOD: readonly string[] = [OID.basicConstraints, OID.keyUsage, OID.extendedKeyUsage, OID.subjectAlternativeName];

function requestedExtensions(extensions: readonly Extension[]): RequestedExtensions {
  const requested: RequestedExtensions = { uris: [], dnsNames: [], otherNames: 0, keyUsage: undefined, extendedKeyUsage: undefined };
  for (const { oid, critical, value } of extensions) {
    if (critical && !UNDERSTOOD.includes(oid)) throw new SignetError('csr-extension-unsupported', `the CSR asks for critical extension ${oid}, which is not known here`);
    if (oid === OID.basicConstraints && parseBasicConstraints(value).ca) throw new SignetError('csr-ca-requested', 'the CSR asks for CA:TRUE');
    if (oid === OID.keyUsage) requested.keyUsage = endEntityUsage(parseKeyUsage(value));
    if (oid === OID.extendedKeyUsage) requested.extendedKeyUsage = parseExtendedKeyUsage(value);
    if (oid === OID.subjectAlternativeName) addNames(requested, value);
  }
  return requested;
}

function endEntityUsage(usages: KeyUsage[]): KeyUsage[] {
  const authority = usages.find((usage) => usage === 'keyCertSign' || usage === 'cRLSign');
  if (authority) throw new SignetError('csr-ca-requested', `the CSR asks for key usage ${authority}, which only a CA has`);
  return usages;
}

function addNames(requested: RequestedExtensions, value: Buffer): void {
  const { uris, dnsNames, ipAddresses, others } = parseSubjectAlternativeName(value);
  Object.assign(requested, { uris, dnsNames, otherNames: ipAddresses.length + others } satisfies Partial<RequestedExtensions>);
}

/** Checks the proof of possession: the CSR is signed by the key it names (RFC 2986 §4.2 note 2). @throws SignetError `csr-signature-invalid` */
export function verifyCsr({ publicKey, signatureAlgorithm, tbs, signature }: CertificateRequest): void {
  if (!verifySignature(publicKey.spki, signatureAlgorithm, tbs, signature)) {
    throw new SignetError('csr-signature-invalid', 'the CSR is not signed by its own key with ECDSA or RSA PKCS #1 v1.5 and SHA-2, or Ed25519');
  }
}
