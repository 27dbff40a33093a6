import type { Config } from '../config/schema.ts';
import type { Issuer } from '../authorities/authorities.ts';
import type { IssuerFacts } from '../profiles/apply.ts';

/** CRL shard of a certificate, fixed at issuance by its random octets (DESIGN §6). */
export const shardOf = (entropy: Uint8Array, shardCount: number): number => (((entropy[0] ?? 0) << 8) | (entropy[1] ?? 0)) % shardCount;

/** What a leaf says of its issuer: with one shard the CRL DP names the complete CRL. */
export function issuerFacts(config: Pick<Config, 'publicUrl'>, issuer: Issuer, shard: number): IssuerFacts {
  return {
    nameDer: issuer.nameDer,
    keyIdentifier: issuer.keyIdentifier,
    signatureAlgorithm: issuer.signatureAlgorithm,
    notBefore: issuer.notBefore,
    notAfter: issuer.notAfter,
    crlUrl: `${config.publicUrl}/crl/${issuer.id}/${issuer.shardCount > 1 ? shard : 'complete'}.crl`,
    ocspUrl: `${config.publicUrl}/ocsp`,
    certificateUrl: `${config.publicUrl}/issuers/${issuer.id}.cer`,
  };
}
