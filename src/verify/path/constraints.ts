/** Name constraints (RFC 5280 §4.2.1.10, §6.1.3 (b), (c)): DNS names, e-mail addresses, URIs, IP addresses and directory names. */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import type { ForeignGeneralName, GeneralNameKind } from '../../x509/foreign/general-name.ts';
import { isWithinName } from '../../x509/foreign/name.ts';
import { OID } from '../../x509/oids.ts';
import type { Budget } from './keys.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';

/** Kinds of constraint that are processed. Of others a name of the same kind is refused, whatever it is. */
const PROCESSED: readonly GeneralNameKind[] = ['dns', 'email', 'uri', 'ip', 'directory'];

/** Every name below each constraint of a path, from the leaf to the anchor. */
export function constraintFault(path: readonly ForeignCertificate[], budget: Budget): PathReason | undefined {
  for (const [i, ca] of path.entries()) {
    if (!ca.nameConstraints || i === 0) continue;
    for (const [below, certificate] of path.slice(0, i).entries()) {
      // A CA that rolls its key over is not below itself (§6.1.3 (b)).
      if (below > 0 && certificate.isSelfIssued) continue;
      for (const name of namesOf(certificate)) {
        const fault = judge(name, ca, certificate, budget);
        if (fault) return fault;
      }
    }
  }
  return undefined;
}

const known = new WeakMap<ForeignCertificate, ForeignGeneralName[]>();

/** Subject, alternative names, and the addresses in the subject of a certificate that has no other (§4.2.1.10). */
function namesOf(certificate: ForeignCertificate): ForeignGeneralName[] {
  const made = known.get(certificate);
  if (made) return made;
  const { subject, alternativeNames = [] } = certificate;
  const names: ForeignGeneralName[] = [...(subject.keys.length > 0 ? [{ kind: 'directory' as const, name: subject }] : []), ...alternativeNames];
  if (!alternativeNames.some(({ kind }) => kind === 'email')) {
    for (const { type, value } of subject.attributes) if (type === 'emailAddress') names.push({ kind: 'email', text: value });
  }
  known.set(certificate, names);
  return names;
}

function judge(name: ForeignGeneralName, ca: ForeignCertificate, certificate: ForeignCertificate, budget: Budget): PathReason | undefined {
  const { permitted, excluded } = ca.nameConstraints ?? { permitted: [], excluded: [] };
  const isAddress = name.kind === 'other' && name.type === OID.smtpUtf8Mailbox;
  const concerns = (base: ForeignGeneralName) => base.kind === name.kind || (isAddress && base.kind === 'email');
  // Constraints of other kinds are walked over as well: they count.
  budget.comparisons -= permitted.length + excluded.length;
  const [allows, forbids] = [permitted.filter(concerns), excluded.filter(concerns)];
  if (allows.length === 0 && forbids.length === 0 && budget.comparisons >= 0) return undefined;
  if (budget.comparisons < 0) return reason('too-complex', 'too many names would have to be compared with name constraints', ca);
  const unsupported = (why: string) => reason('name-constraint-not-supported', `${why}; ${nameOf(ca)} constrains this kind of name`, certificate);
  if (!PROCESSED.includes(name.kind)) return unsupported(`a name of kind ${name.kind} cannot be judged`);
  if ([...allows, ...forbids].some((base) => !isBase(base))) return reason('name-constraint-not-supported', `a name constraint of ${nameOf(ca)} is not of its form`, ca);
  if (!isJudgeable(name)) return unsupported(`the ${name.kind} name ${textOf(name)} is not of its form`);
  const isPermitted = allows.length === 0 || allows.some((base) => isWithin(name, base));
  if (isPermitted && !forbids.some((base) => isWithin(name, base) || coversWildcard(name, base) || coversMapped(name, base))) return undefined;
  return reason('name-not-permitted', `the ${name.kind} name ${textOf(name)} is not permitted by ${nameOf(ca)}`, certificate);
}

const HOST = /^(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i;
const MAX_HOST = 253;

/** A DNS name of letters, digits and hyphens (RFC 1034 §3.5). */
export const isHostName = (text: string): boolean => text.length <= MAX_HOST && HOST.test(text);

/** Whether a host ends in a number, as no domain does: whoever resolves it may take it for an IPv4 address (WHATWG URL §3.5). */
export const endsInNumber = (host: string): boolean => /(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/i.test(host);

/** Whether a constraint is of the form that RFC 5280 gives its kind. */
function isBase(base: ForeignGeneralName): boolean {
  switch (base.kind) {
    case 'dns':
      return base.text === '' || isHostName(base.text);
    case 'email': {
      const at = base.text.lastIndexOf('@');
      return at > 0 ? isHostName(base.text.slice(at + 1)) : at < 0 && isDomain(base.text);
    }
    case 'uri':
      return isDomain(base.text);
    case 'ip':
      return (base.octets.length === 8 || base.octets.length === 32) && isMask(base.octets.subarray(base.octets.length / 2));
    default:
      return base.kind === 'directory';
  }
}

/** A host, or everything below a domain. */
const isDomain = (text: string): boolean => isHostName(text.startsWith('.') ? text.slice(1) : text);

/** Ones, then zeros (RFC 4632). */
function isMask(mask: Buffer): boolean {
  const bits = [...mask].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits);
}

/** What stands before the @: a dot-atom (RFC 5321 §4.1.2). Quoted ones are in nobody's certificates. */
const LOCAL_PART = /^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/i;

/** Whether a name can be compared: what is no DNS name, address or URI with a host might mean one thing here and another where it is used. */
function isJudgeable(name: ForeignGeneralName): boolean {
  switch (name.kind) {
    case 'dns':
      return isHostName(name.text.startsWith('*.') ? name.text.slice(2) : name.text);
    case 'email': {
      const at = name.text.lastIndexOf('@');
      return at > 0 && LOCAL_PART.test(name.text.slice(0, at)) && isHostName(name.text.slice(at + 1));
    }
    case 'uri':
      return hostOf(name.text) !== undefined;
    default:
      return true;
  }
}

/** Scheme, user and host (RFC 3986 §3): a user only of what may stand in one, a host of labels, with underscores as trust domains have them. */
const URI_HOST = /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._~!$&'()*+,;=:%-]*@)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::\d*)?(?:[/?#]|$)/i;

/** The host of a URI; undefined without one, and of an IP address: a constraint on URIs permits neither (§4.2.1.10). */
function hostOf(uri: string): string | undefined {
  const host = URI_HOST.exec(uri)?.[1];
  return host !== undefined && !endsInNumber(host) ? host : undefined;
}

function isWithin(name: ForeignGeneralName, base: ForeignGeneralName): boolean {
  if (name.kind === 'directory') return base.kind === 'directory' && isWithinName(name.name, base.name);
  if (name.kind === 'ip') return base.kind === 'ip' && isWithinNetwork(name.octets, base.octets);
  if (!('text' in name) || !('text' in base) || name.kind !== base.kind) return false;
  if (name.kind === 'dns') return isBelow(name.text, base.text);
  if (name.kind === 'uri') return isHostWithin(hostOf(name.text) ?? '', base.text);
  const [at, baseAt] = [name.text.lastIndexOf('@'), base.text.lastIndexOf('@')];
  const host = name.text.slice(at + 1);
  if (baseAt < 0) return isHostWithin(host, base.text);
  // Only the host ignores case (RFC 5321 §2.4).
  return name.text.slice(0, at) === base.text.slice(0, baseAt) && host.toLowerCase() === base.text.slice(baseAt + 1).toLowerCase();
}

/** A DNS constraint stands for itself and for what is below it; the empty one for all. */
function isBelow(text: string, base: string): boolean {
  const [name, limit] = [text.toLowerCase(), base.toLowerCase()];
  return limit === '' || name === limit || name.endsWith(`.${limit}`);
}

/** A host stands for itself; with a leading period, for what is below it. */
function isHostWithin(text: string, base: string): boolean {
  const [name, limit] = [text.toLowerCase(), base.toLowerCase()];
  return limit.startsWith('.') ? name.endsWith(limit) && name.length > limit.length : name === limit;
}

/** `*.a.example` is also `b.a.example`: excluded with it. */
function coversWildcard(name: ForeignGeneralName, base: ForeignGeneralName): boolean {
  if (name.kind !== 'dns' || base.kind !== 'dns' || !name.text.startsWith('*.')) return false;
  const [parent, limit] = [name.text.slice(2).toLowerCase(), base.text.toLowerCase()];
  const dot = limit.indexOf('.');
  return dot > 0 && limit.slice(dot + 1) === parent;
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** An IPv4 address written as IPv6 (RFC 4291 §2.5.5.2) leads to the same host: excluded with it. */
const coversMapped = (name: ForeignGeneralName, base: ForeignGeneralName): boolean =>
  name.kind === 'ip' && base.kind === 'ip' && name.octets.length === 16 && name.octets.subarray(0, MAPPED.length).equals(MAPPED) && isWithinNetwork(name.octets.subarray(MAPPED.length), base.octets);

function isWithinNetwork(address: Buffer, network: Buffer): boolean {
  if (network.length !== 2 * address.length) return false;
  return address.every((octet, i) => (octet & (network[address.length + i] ?? 0)) === ((network[i] ?? 0) & (network[address.length + i] ?? 0)));
}

function textOf(name: ForeignGeneralName): string {
  if ('text' in name) return JSON.stringify(name.text.slice(0, 120));
  if (name.kind === 'ip') return name.octets.toString('hex');
  return name.kind === 'directory' ? 'of the subject' : `of kind ${name.kind}`;
}
