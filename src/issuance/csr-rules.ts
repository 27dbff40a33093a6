import type { DecisionRequest } from '../policy/decide.ts';
import type { CertificateRequest } from '../x509/csr.ts';

/** What a caller may ask for besides the CSR. */
export interface AskedFor {
  ttlSeconds: number | undefined;
  dnsNames: readonly string[] | undefined;
}

/**
 * What a CSR and its request ask for, in the words policy decides on. The CSR gives the key and the proof of possession; every name in it is a
 * wish (DESIGN invariant 4). Its other extensions are not read here: parseCsr refuses CA:TRUE and unknown critical ones.
 */
export function askedFor(csr: CertificateRequest, request: AskedFor): Pick<DecisionRequest, 'commonNames' | 'uris' | 'dnsNames' | 'otherNames' | 'ttlSeconds' | 'keyAlgorithm'> {
  const commonNames = csr.subject.filter((attribute) => attribute.type === 'CN').map((attribute) => attribute.value);
  return {
    keyAlgorithm: csr.publicKey.algorithm,
    commonNames,
    uris: csr.requested.uris,
    dnsNames: [...csr.requested.dnsNames, ...(request.dnsNames ?? [])],
    otherNames: csr.requested.otherNames + (csr.subject.length - commonNames.length),
    ttlSeconds: request.ttlSeconds,
  };
}
