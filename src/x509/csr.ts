import { SignetError } from '../core/errors.ts';
import { bitStringBytes, DerError, oidValue, open, smallInteger, type DerCursor } from './der/reader.ts';
import { TAG } from './der/writer.ts';
import { parseBasicConstraints } from './extensions/basic-constraints.ts';
import { parseExtendedKeyUsage } from './extensions/extended-key-usage.ts';
import { parseExtensions, type Extension } from './extensions/extension.ts';
import { parseKeyUsage } from './extensions/key-usage.ts';
import { parseSubjectAlternativeName } from './extensions/subject-alternative-name.ts';
import { parseName, type NameAttribute } from './names.ts';
import { OID } from './oids.ts';
import { parsePublicKey, verifySignature, type PublicKeyInfo } from './public-key.ts';

/** A PKCS#10 request as it was read (RFC 2986 §4). What it asks for is a wish; what it proves is its key. */
export interface CertificateRequest {
  der: Buffer;
  /** CertificationRequestInfo: what is signed. */
  tbs: Buffer;
  subject: NameAttribute[];
  publicKey: PublicKeyInfo;
  signatureAlgorithm: Buffer;
  signature: Buffer;
  requested: RequestedExtensions;
}

export interface RequestedExtensions {
  uris: string[];
  dnsNames: string[];
  /** E-mail, IP and other general names asked for. */
  otherNames: number;
  keyUsage: string[] | undefined;
  extendedKeyUsage: string[] | undefined;
}

export interface CsrLimits {
  maxBytes: number;
  /** Alternative names asked for, at most. */
  maxNames: number;
}

const MAX_ATTRIBUTES = 16;
const ATTRIBUTES = 0xa0;
const CHALLENGE_PASSWORD = '1.2.840.113549.1.9.7';

/**
 * Reads a CSR strictly. Its signature is verified by `verifyCsr`.
 * @throws SignetError csr-too-large, csr-malformed, csr-attribute-duplicated, csr-extension-unsupported, csr-ca-requested, key-type-not-allowed, key-weak, names-not-granted
 */
export function parseCsr(der: Uint8Array, limits: CsrLimits): CertificateRequest {
  if (der.length > limits.maxBytes) throw new SignetError('csr-too-large', `a CSR may have ${limits.maxBytes} octets; this one has ${der.length}`);
  try {
    return read(der, limits);
  } catch (error) {
    if (error instanceof DerError) throw new SignetError('csr-malformed', `the CSR is not strict DER of a PKCS#10 request: ${error.message}`);
    throw error;
  }
}

/** Proof of possession: the CSR's signature verifies with the key in it. @throws SignetError csr-signature-invalid */
export function verifyCsr(csr: CertificateRequest): void {
  if (!verifySignature(csr.publicKey.spki, csr.signatureAlgorithm, csr.tbs, csr.signature)) {
    throw new SignetError('csr-signature-invalid', 'the signature of the CSR does not verify with the public key in it, or its algorithm is not accepted (ECDSA, RSA with SHA-2, Ed25519)');
  }
}

function read(der: Uint8Array, limits: CsrLimits): CertificateRequest {
  const outer = open(der, { maxBytes: limits.maxBytes, maxDepth: 16, maxElements: 1_024 });
  const node = outer.expect(TAG.SEQUENCE, 'CertificationRequest');
  outer.end('CertificationRequest');
  const fields = outer.descend(node);
  const info = fields.expect(TAG.SEQUENCE, 'CertificationRequestInfo');
  const signatureAlgorithm = fields.expect(TAG.SEQUENCE, 'signatureAlgorithm').raw;
  const signature = bitStringBytes(fields.expect(TAG.BIT_STRING, 'signature'));
  fields.end('CertificationRequest');

  const inner = fields.descend(info);
  if (smallInteger(inner.expect(TAG.INTEGER, 'version')) !== 0) throw new DerError('unknown CSR version', info.offset);
  const subject = parseName(inner).attributes;
  const publicKey = parsePublicKey(inner.expect(TAG.SEQUENCE, 'subjectPKInfo').raw);
  const attributes = inner.expect(ATTRIBUTES, 'attributes');
  inner.end('CertificationRequestInfo');
  const extensions = readAttributes(inner.descend(attributes));
  return { der: node.raw, tbs: info.raw, subject, publicKey, signatureAlgorithm, signature, requested: readRequested(extensions, limits.maxNames) };
}

/** The one extensionRequest, if any. A challenge password is a secret we have no use for: refused, so that nobody relies on it. */
function readAttributes(list: DerCursor): Extension[] {
  const seen = new Set<string>();
  let extensions: Extension[] = [];
  while (!list.done) {
    const attribute = list.sequence('Attribute');
    const type = oidValue(attribute.expect(TAG.OID, 'attribute type'));
    const values = attribute.descend(attribute.expect(TAG.SET, 'attribute values'));
    attribute.end('Attribute');
    if (seen.has(type)) throw new SignetError('csr-attribute-duplicated', `attribute ${type} stands twice in the CSR`);
    if (seen.add(type).size > MAX_ATTRIBUTES) throw new SignetError('csr-malformed', `a CSR may have ${MAX_ATTRIBUTES} attributes`);
    if (type === CHALLENGE_PASSWORD) throw new SignetError('csr-extension-unsupported', 'a challenge password in a CSR is not used here: leave it out');
    if (type === OID.extensionRequest) extensions = readExtensionRequest(values);
  }
  return extensions;
}

function readExtensionRequest(values: DerCursor): Extension[] {
  if (values.done) throw new SignetError('csr-malformed', 'extensionRequest has no value');
  const value = values.expect(TAG.SEQUENCE, 'Extensions');
  if (!values.done) throw new SignetError('csr-attribute-duplicated', 'extensionRequest has more than one value');
  // An empty list is what some tools write for "nothing asked".
  if (value.content.length === 0) return [];
  return parseExtensions(freshCursor(value.raw));
}

/** A fresh cursor whose next element is the given one; the outer reading has already bounded it. */
const freshCursor = (raw: Buffer): DerCursor => open(raw, { maxBytes: raw.length, maxDepth: 8, maxElements: 512 });

function readRequested(extensions: readonly Extension[], maxNames: number): RequestedExtensions {
  const requested: RequestedExtensions = { uris: [], dnsNames: [], otherNames: 0, keyUsage: undefined, extendedKeyUsage: undefined };
  for (const { oid, critical, value } of extensions) {
    switch (oid) {
      case OID.subjectAlternativeName: {
        const names = parseSubjectAlternativeName(value);
        requested.uris = names.uris;
        requested.dnsNames = names.dnsNames;
        requested.otherNames = names.ipAddresses.length + names.others;
        if (names.uris.length + names.dnsNames.length + requested.otherNames > maxNames) throw new SignetError('names-not-granted', `a CSR may ask for ${maxNames} names`);
        break;
      }
      case OID.basicConstraints:
        if (parseBasicConstraints(value).ca) throw new SignetError('csr-ca-requested', 'agents get no CA certificates: leave CA:TRUE out of the CSR');
        break;
      case OID.keyUsage:
        requested.keyUsage = parseKeyUsage(value);
        break;
      case OID.extendedKeyUsage:
        requested.extendedKeyUsage = parseExtendedKeyUsage(value);
        break;
      case OID.subjectKeyIdentifier:
        break;
      default:
        if (critical) throw new SignetError('csr-extension-unsupported', `critical extension ${oid} asked for in the CSR is not supported`);
    }
  }
  // keyUsage beyond what a leaf gets is a wish that is not granted.
  const extra = requested.keyUsage?.find((usage) => usage === 'keyCertSign' || usage === 'cRLSign');
  if (extra !== undefined) throw new SignetError('csr-ca-requested', `agents get no CA certificates: leave ${extra} out of the CSR`);
  return requested;
}
