import { encodeAuthorityInformationAccess } from '../extensions/authority-information-access.ts';
import { encodeCrlDistributionPoints } from '../extensions/crl-distribution-points.ts';
import { encodeNoRevAvail } from '../extensions/no-rev-avail.ts';
import { OID } from '../oids.ts';
import { findExtension, type CertificateKind, type Lint } from './lint.ts';

/**
 * RFC 5280 §4.2.1.13 and §4.2.2.1, RFC 9608 §4: what can be revoked says where to ask, what cannot says so, never both. A root is
 * trusted by hand; a responder is exempt by ocsp-nocheck; the root answers no OCSP, so what it signs points to its CRL alone.
 */
export const revocationPointers: Lint = {
  name: 'revocation-pointers',
  reference: 'RFC 9608 §4',
  check({ certificate, kind }) {
    const points = findExtension(certificate, OID.crlDistributionPoints);
    const access = findExtension(certificate, OID.authorityInformationAccess);
    const never = findExtension(certificate, OID.noRevAvail);
    const critical = [points, access, never].find((extension) => extension?.critical);
    if (critical) return `extension ${critical.oid} is critical`;
    const { crlDistributionPoints: crlUrls = [], authorityInformationAccess: urls = { ocsp: [], caIssuers: [] } } = certificate;
    // Written again from what was read of it, a value that says anything else comes out different.
    if (points && !(areUrls(crlUrls) && encodeCrlDistributionPoints(crlUrls).value.equals(points.value))) return 'CRL distribution points are not URLs alone';
    if (access && !(areUrls([...urls.ocsp, ...urls.caIssuers]) && encodeAuthorityInformationAccess(urls).value.equals(access.value))) {
      return 'authority information access is not OCSP and issuer URLs alone';
    }
    if (never && !never.value.equals(encodeNoRevAvail().value)) return 'noRevAvail is not NULL';
    const ocsp = urls.ocsp.length > 0;
    if (never && (points || ocsp)) return 'has noRevAvail and revocation pointers';
    return judgeKind(kind, points !== undefined, ocsp, never !== undefined);
  },
};

function judgeKind(kind: CertificateKind, crl: boolean, ocsp: boolean, never: boolean): string | undefined {
  switch (kind) {
    case 'root':
    case 'ocsp':
      return crl || ocsp || never ? 'this kind has no revocation pointers' : undefined;
    case 'issuing':
    case 'cross':
      return crl && !ocsp ? undefined : "a CA certificate points to its root's CRL and nothing else";
    case 'feed':
      return never ? undefined : 'a feed key is short-lived and says that nothing tells of its revocation';
    case 'leaf':
    case 'tls':
      return never || (crl && ocsp) ? undefined : 'has neither CRL and OCSP pointers nor noRevAvail';
  }
}

const areUrls = (urls: readonly string[]): boolean => urls.length > 0 && urls.every((url) => /^https?:\/\/[^/]/.test(url) && URL.canParse(url));
