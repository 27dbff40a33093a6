/** `signet verify --json`: the question as JSON, and the answer (docs/path-validation.md). */
import { foreignNameText } from '../../x509/foreign/name.ts';
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { extendedKeyUsageOid } from '../../x509/extensions/extended-key-usage.ts';
import { createStore, PURPOSES, readCertificate, validatePath, type CertificateStore, type PathReasonCode, type PathRequest, type PathResult, type Purpose } from '../../verify/path/index.ts';
import { didYouMean } from '../did-you-mean.ts';
import { DocumentError, documentsIn, type DocumentKind } from './documents.ts';

/**
 * What is understood in a question. Of other members the answer only says that they were not looked at, so that a corpus may keep its own notes beside a question;
 * but one that looks like one of these, misspelt, is refused: the answer could hang on it.
 */
const MEMBERS: readonly string[] = [
  'anchors', 'intermediates', 'leaf', 'crls', 'ocsp', 'ocspNonce', 'revocation', 'time', 'purpose', 'host', 'spiffeId', 'trustDomain', 'initialPolicies',
  'requireExplicitPolicy', 'inhibitMapping', 'inhibitAnyPolicy', 'maxDepth', 'allowLegacyAlgorithms',
];
/** For whoever asks. The answer repeats `id`. */
const NOTES: readonly string[] = ['id', 'name', 'description'];

/** Anchors and issuers are the same in most questions of a batch: those that were read are kept. */
export type StoreCache = Map<string, CertificateStore>;
const MAX_STORES = 256;
const MAX_CACHED_CHARACTERS = 65_536;

interface Answer {
  id?: string | number;
  valid: boolean;
  /** base64 DER, leaf first. */
  path: string[];
  reasons: { code: PathReasonCode; message: string; certificate?: { subject: string; serial: string; index?: number } }[];
  /** Members of the question that nothing is known of: they were not looked at. */
  ignored?: string[];
}

/** The answer to one question, whatever it is: never throws. */
export function answerQuestion(text: string, now: Date, cache: StoreCache): Answer {
  let noted: Pick<Answer, 'id' | 'ignored'> = {};
  try {
    const given: unknown = JSON.parse(text);
    if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new DocumentError('a question is a JSON object');
    const members = given as Record<string, unknown>;
    noted = withId(members['id']);
    noted = { ...noted, ...withIgnored(Object.keys(members)) };
    return { ...noted, ...answerOf(validateQuestion(members, now, cache)) };
  } catch (error) {
    const [code, message]: [PathReasonCode, string] =
      error instanceof DocumentError || error instanceof SyntaxError ? ['malformed-request', error.message] : ['malformed-request', 'the question could not be worked on'];
    return { ...noted, valid: false, path: [], reasons: [{ code, message }] };
  }
}

const MAX_ID = 1_024;
const MAX_MEMBER = 64;
const MAX_IGNORED = 32;

/** What a question may be known by again: nothing that could be large, or nested deeper than an answer can be written. */
const withId = (id: unknown) => (typeof id === 'number' || (typeof id === 'string' && id.length <= MAX_ID) ? { id } : {});

/** @throws DocumentError for a member that looks like one that is understood */
function withIgnored(names: readonly string[]): Pick<Answer, 'ignored'> {
  const ignored = names.filter((name) => !MEMBERS.includes(name) && !NOTES.includes(name)).map((name) => name.slice(0, MAX_MEMBER));
  if (ignored.length > MAX_IGNORED) throw new DocumentError(`more than ${MAX_IGNORED} members that nothing is known of`);
  for (const name of ignored) {
    const meant = MEMBERS.find((member) => plain(member) === plain(name)) ?? didYouMean(name, MEMBERS)[0];
    if (meant !== undefined) throw new DocumentError(`there is no member ${JSON.stringify(name)}: is ${meant} meant?`);
  }
  return ignored.length > 0 ? { ignored } : {};
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

function validateQuestion(members: Record<string, unknown>, now: Date, cache: StoreCache): PathResult {
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
  const given = members[member] ?? [];
  const value: unknown = typeof given === 'string' ? [given] : given;
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw new DocumentError(`${member} must be a list of texts`);
  return value;
}

const documentsOf = (members: Record<string, unknown>, member: string, kind: DocumentKind): Buffer[] => textsOf(members, member).flatMap((text) => from(member, text, kind));

function storeOf(members: Record<string, unknown>, member: string, cache: StoreCache): CertificateStore {
  const texts = textsOf(members, member);
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  if (characters > MAX_CACHED_CHARACTERS) return createStore(texts.flatMap((text) => from(member, text, 'certificate')));
  const key = JSON.stringify(texts);
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
    time: timeOf(optional(members, 'time', (value) => typeof value === 'string' || typeof value === 'number', 'a text or a number') as string | number | undefined, now),
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

const TIME = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?)?$/;
/** Seconds since 1970 of the end of the year 9999, the last that a certificate can name. */
const LAST_SECOND = 253_402_300_799;

/** A time of RFC 3339, UTC where it says no offset; a date: its midnight, UTC; or seconds since 1970. @throws DocumentError */
export function timeOf(given: string | number | undefined, now: Date): Date {
  if (given === undefined) return now;
  const seconds = typeof given === 'number' ? given : /^\d{1,12}$/.test(given) ? Number(given) : undefined;
  if (seconds !== undefined) {
    if (!(seconds >= 0 && seconds <= LAST_SECOND)) throw new DocumentError('time must be seconds since 1970, of a year up to 9999');
    return new Date(seconds * MS_PER_SECOND);
  }
  const [whole, offset] = TIME.exec(String(given)) ?? [];
  const at = new Date(whole === undefined ? Number.NaN : (whole.length > DATE_LENGTH && offset === undefined ? `${whole}Z` : whole).toUpperCase());
  if (Number.isNaN(at.getTime())) throw new DocumentError('time must be as 2026-12-01T12:00:00Z, or seconds since 1970');
  return at;
}

/** @throws DocumentError */
export function purposeOf(given: string | undefined): Purpose | undefined {
  if (given === undefined || ['any', 'anyExtendedKeyUsage', '2.5.29.37.0'].includes(given)) return undefined;
  const purpose = PURPOSES.find((one) => [one, `id-kp-${one}`, extendedKeyUsageOid(one)].includes(given));
  if (!purpose) throw new DocumentError(`purpose must be any, ${PURPOSES.join(', ')}`);
  return purpose;
}

const DATE_LENGTH = '2026-12-01'.length;
const MS_PER_SECOND = 1000;

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
