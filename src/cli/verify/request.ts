/** `signet verify --json`: the question as JSON, and the answer (docs/path-validation.md). */
import { foreignNameText } from '../../x509/foreign/name.ts';
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { createStore, PURPOSES, readCertificate, validatePath, type CertificateStore, type PathReasonCode, type PathRequest, type PathResult, type Purpose } from '../../verify/path/index.ts';
import { DocumentError, documentsIn, type DocumentKind } from './documents.ts';

/** What may stand in a question. Another member is refused: one that is not understood could be what the answer hangs on. */
const MEMBERS: readonly string[] = [
  'anchors', 'intermediates', 'leaf', 'crls', 'ocsp', 'ocspNonce', 'revocation', 'time', 'purpose', 'host', 'spiffeId', 'trustDomain', 'initialPolicies',
  'requireExplicitPolicy', 'inhibitMapping', 'inhibitAnyPolicy', 'maxDepth', 'allowLegacyAlgorithms',
  // for whoever asks: the answer repeats `id`
  'id', 'name', 'description',
];

/** Anchors and issuers are the same in most questions of a batch: those that were read are kept. */
export type StoreCache = Map<string, CertificateStore>;
const MAX_STORES = 256;
const MAX_CACHED_CHARACTERS = 65_536;

interface Answer {
  id?: unknown;
  valid: boolean;
  /** base64 DER, leaf first. */
  path: string[];
  reasons: { code: PathReasonCode; message: string; certificate?: { subject: string; serial: string; index?: number } }[];
}

/** The answer to one question, whatever it is: never throws. */
export function answerQuestion(text: string, now: Date, cache: StoreCache): Answer {
  let id: unknown;
  try {
    const given: unknown = JSON.parse(text);
    if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new DocumentError('a question is a JSON object');
    const members = given as Record<string, unknown>;
    id = members['id'];
    return { ...withId(id), ...answerOf(validateQuestion(members, now, cache)) };
  } catch (error) {
    const [code, message]: [PathReasonCode, string] =
      error instanceof DocumentError || error instanceof SyntaxError ? ['malformed-request', error.message] : ['malformed-request', 'the question could not be worked on'];
    return { ...withId(id), valid: false, path: [], reasons: [{ code, message }] };
  }
}

const withId = (id: unknown) => (id === undefined ? {} : { id });

function validateQuestion(members: Record<string, unknown>, now: Date, cache: StoreCache): PathResult {
  const unknown = Object.keys(members).find((member) => !MEMBERS.includes(member));
  if (unknown !== undefined) throw new DocumentError(`there is no member ${JSON.stringify(unknown.slice(0, 64))}`);
  const leaf = leafOf(members['leaf']);
  if ('code' in leaf) return { valid: false, path: [], reasons: [leaf] };
  return validatePath({ ...settingsOf(members, now), leaf, anchors: storeOf(members, 'anchors', cache), intermediates: storeOf(members, 'intermediates', cache) });
}

function leafOf(given: unknown) {
  if (typeof given !== 'string') throw new DocumentError('leaf must be a certificate, PEM or base64');
  const [der, second] = from('leaf', given, 'certificate');
  if (!der || second) throw new DocumentError('leaf must be one certificate');
  return readCertificate(der);
}

function from(member: string, text: string, kind: DocumentKind): Buffer[] {
  try {
    return documentsIn(text, kind);
  } catch (error) {
    if (error instanceof DocumentError) throw new DocumentError(`${member}: ${error.message}`);
    throw error;
  }
}

function textsOf(members: Record<string, unknown>, member: string): string[] {
  const value = members[member] ?? [];
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw new DocumentError(`${member} must be a list of texts`);
  return value;
}

const documentsOf = (members: Record<string, unknown>, member: string, kind: DocumentKind): Buffer[] => textsOf(members, member).flatMap((text) => from(member, text, kind));

function storeOf(members: Record<string, unknown>, member: string, cache: StoreCache): CertificateStore {
  const texts = textsOf(members, member);
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  if (characters > MAX_CACHED_CHARACTERS) return createStore(texts.flatMap((text) => from(member, text, 'certificate')));
  const key = texts.join(' ');
  const known = cache.get(key);
  if (known) return known;
  const store = createStore(texts.flatMap((text) => from(member, text, 'certificate')));
  if (cache.size >= MAX_STORES) cache.clear();
  cache.set(key, store);
  return store;
}

function settingsOf(members: Record<string, unknown>, now: Date): Omit<PathRequest, 'anchors' | 'intermediates' | 'leaf'> {
  const text = (member: string) => optional(members, member, (value) => typeof value === 'string', 'a text') as string | undefined;
  const flag = (member: string) => optional(members, member, (value) => typeof value === 'boolean', 'true or false') as boolean | undefined;
  const nonce = text('ocspNonce');
  return {
    crls: documentsOf(members, 'crls', 'crl'),
    ocsp: documentsOf(members, 'ocsp', 'ocsp'),
    ocspNonce: nonce === undefined ? undefined : hexOctets(nonce),
    revocation: optional(members, 'revocation', (value) => ['none', 'leaf', 'path'].includes(value as string), 'none, leaf or path') as PathRequest['revocation'],
    time: timeOf(text('time'), now),
    purpose: purposeOf(text('purpose')),
    host: text('host'),
    spiffeId: text('spiffeId'),
    trustDomain: text('trustDomain'),
    initialPolicies: policiesOf(members['initialPolicies']),
    requireExplicitPolicy: flag('requireExplicitPolicy'),
    inhibitMapping: flag('inhibitMapping'),
    inhibitAnyPolicy: flag('inhibitAnyPolicy'),
    maxDepth: optional(members, 'maxDepth', (value) => Number.isSafeInteger(value) && (value as number) >= 0, 'a whole number') as number | undefined,
    allowLegacyAlgorithms: flag('allowLegacyAlgorithms'),
  };
}

/** A member that is null is one that is not there. */
function optional(members: Record<string, unknown>, member: string, fits: (value: unknown) => boolean, what: string): unknown {
  const value = members[member] ?? undefined;
  if (value !== undefined && !fits(value)) throw new DocumentError(`${member} must be ${what}`);
  return value;
}

/** Octets in hexadecimal. @throws DocumentError */
export function hexOctets(text: string): Buffer {
  if (!/^(?:[0-9a-f]{2}){1,128}$/i.test(text)) throw new DocumentError('a nonce is 1 to 128 octets in hexadecimal');
  return Buffer.from(text, 'hex');
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)?)?$/;

/** A time of RFC 3339, UTC where it says no offset; or a date: its midnight, UTC. @throws DocumentError */
export function timeOf(given: string | undefined, now: Date): Date {
  if (given === undefined) return now;
  const [whole, offset] = TIME.exec(given) ?? [];
  const at = new Date(whole === undefined ? Number.NaN : whole.length > DATE_LENGTH && offset === undefined ? `${whole}Z` : whole);
  if (Number.isNaN(at.getTime())) throw new DocumentError('time must be as 2026-12-01T12:00:00Z');
  return at;
}

/** @throws DocumentError */
export function purposeOf(given: string | undefined): Purpose | undefined {
  if (given === undefined || given === 'any') return undefined;
  const purpose = PURPOSES.find((one) => one === given);
  if (!purpose) throw new DocumentError(`purpose must be any, ${PURPOSES.join(', ')}`);
  return purpose;
}

const DATE_LENGTH = '2026-12-01'.length;

const ANY_POLICY = '2.5.29.32.0';
const OID_TEXT = /^[0-2](?:\.\d{1,15}){1,31}$/;

/** Undefined: any. @throws DocumentError */
export function policiesOf(given: unknown): string[] | undefined {
  const list: unknown[] = Array.isArray(given) ? given : given === undefined || given === null ? [] : [given];
  if (list.length === 0) return undefined;
  return list.map((policy) => {
    if (policy === 'any' || policy === 'anyPolicy') return ANY_POLICY;
    if (typeof policy !== 'string' || !OID_TEXT.test(policy)) throw new DocumentError('initialPolicies must be dotted object identifiers, or any');
    return policy;
  });
}

/** An answer as JSON has it. */
export function answerOf({ valid, path, reasons }: PathResult): Answer {
  return {
    valid,
    path: path.map(({ der }) => der.toString('base64')),
    reasons: reasons.map(({ code, message, certificate }) => ({ code, message, ...(certificate && { certificate: described(certificate, path) }) })),
  };
}

function described(certificate: ForeignCertificate, path: readonly ForeignCertificate[]) {
  const index = path.indexOf(certificate);
  return { subject: foreignNameText(certificate.subject).slice(0, 512), serial: certificate.serial.toString('hex'), ...(index >= 0 && { index }) };
}
