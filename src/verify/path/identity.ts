/** Whom a certificate is for: a host (RFC 9525), or a workload by its SPIFFE ID (X.509-SVID). Names in the subject count for nothing. */
import { isIP } from 'node:net';
import { parseSpiffeId } from '../../core/spiffe-id.ts';
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { ipOctets } from '../../x509/extensions/general-names.ts';
import { endsInNumber, isHostName } from './constraints.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';

/** Whether the leaf is for `host`: an IP address by its octets, a DNS name by label, with `*` for the whole first label only (RFC 9525 §6.3). */
export function hostFault(leaf: ForeignCertificate, host: string): PathReason | undefined {
  const names = leaf.alternativeNames ?? [];
  if (isIP(host) !== 0) {
    const octets = host.includes('%') ? undefined : ipOctets(host);
    if (octets && names.some((name) => name.kind === 'ip' && name.octets.equals(octets))) return undefined;
  } else {
    const wanted = (host.endsWith('.') ? host.slice(0, -1) : host).toLowerCase();
    if (isHostName(wanted) && !endsInNumber(wanted) && names.some((name) => name.kind === 'dns' && matches(wanted, name.text.toLowerCase()))) return undefined;
  }
  const shown = names.flatMap((name) => ('text' in name && name.kind === 'dns' ? [name.text] : [])).slice(0, 8);
  return reason('host-mismatch', `${nameOf(leaf)} is not for ${JSON.stringify(host.slice(0, 255))}${shown.length > 0 ? ` but for ${JSON.stringify(shown)}` : ', and for no DNS name'}`, leaf);
}

/** At least two labels must follow the `*`: a whole top-level domain is nobody's. */
function matches(wanted: string, presented: string): boolean {
  if (!presented.startsWith('*.')) return wanted === presented && isHostName(presented);
  const parent = presented.slice(2);
  return isHostName(parent) && parent.includes('.') && wanted.slice(wanted.indexOf('.') + 1) === parent && wanted.includes('.');
}

export interface WantedSpiffe {
  spiffeId: string | undefined;
  trustDomain: string | undefined;
}

/** X.509-SVID §2, §4, §5.2: exactly one URI, a SPIFFE ID with a path; no CA; digitalSignature, and neither keyCertSign nor cRLSign. */
export function spiffeFault(leaf: ForeignCertificate, { spiffeId, trustDomain }: WantedSpiffe): PathReason | undefined {
  if (spiffeId === undefined && trustDomain === undefined) return undefined;
  const invalid = (why: string) => reason('spiffe-id-invalid', `${nameOf(leaf)} is no X.509-SVID: ${why}`, leaf);
  const uris = (leaf.alternativeNames ?? []).flatMap((name) => (name.kind === 'uri' ? [name.text] : []));
  const [uri = ''] = uris;
  if (uris.length !== 1) return invalid(`it has ${uris.length} URIs, not one`);
  const id = parseSpiffeId(uri);
  if (!id) return invalid(`${JSON.stringify(uri.slice(0, 255))} is not a SPIFFE ID in normal form`);
  if (id.segments.length === 0) return invalid('its SPIFFE ID has no path');
  if (leaf.basicConstraints?.ca === true) return invalid('it is a CA');
  if (leaf.keyUsage?.includes('digitalSignature') !== true) return invalid('its key usage has no digitalSignature');
  if (leaf.keyUsage.includes('keyCertSign') || leaf.keyUsage.includes('cRLSign')) return invalid('its key usage has keyCertSign or cRLSign');
  const isWanted = (spiffeId === undefined || spiffeId === uri) && (trustDomain === undefined || trustDomain === id.trustDomain);
  return isWanted ? undefined : reason('spiffe-id-mismatch', `it is for ${uri}, not for ${spiffeId ?? `the trust domain ${trustDomain}`}`, leaf);
}
