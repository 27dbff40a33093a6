import { parseSpiffeId } from '../../core/spiffe-id.ts';
import type { Lint } from './lint.ts';

/** X509-SVID §2 and §5.2, SPIFFE-ID §2: the one URI is a SPIFFE ID of the registered trust domain, and a leaf's has a path. */
export const spiffeId: Lint = {
  name: 'spiffe-id',
  reference: 'X509-SVID §2',
  check({ certificate, kind, registration }) {
    if (kind !== 'leaf') return undefined;
    const [uri = '', ...more] = certificate.subjectAlternativeName?.uris ?? [];
    if (more.length > 0) return 'an X.509-SVID has exactly one URI';
    const id = parseSpiffeId(uri);
    if (!id) return 'the URI is not a SPIFFE ID';
    if (id.segments.length === 0) return 'the SPIFFE ID of a leaf has a path';
    return id.trustDomain === registration?.trustDomain ? undefined : `trust domain ${id.trustDomain} is not ours`;
  },
};
