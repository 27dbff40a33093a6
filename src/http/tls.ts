import { constants, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { Config } from '../config/schema.ts';
import type { Context } from '../context.ts';

/** Signet's own TLS certificate: leaf first, then the chain without the root. */
export interface TlsMaterial {
  key: KeyObject;
  chainPem: string;
}

/** TLS 1.3 (RFC 8446 §B.4); then what is left of 1.2 with forward secrecy, AEAD and our ECDSA key (RFC 9325 §4.2). */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-GCM-SHA256',
].join(':');

/**
 * Key exchange, best first; the post-quantum hybrid costs some 90 µs of CPU a handshake. One tuple in OpenSSL's sense: a client that offers a share for any
 * of them is taken at its word, without a second round trip.
 */
const GROUPS = 'X25519MLKEM768:X25519:P-256:P-384';

/** Signatures of keys that Signet certifies, by us and by clients; the RSA ones of PKCS #1 v1.5 are for TLS 1.2 and for certificates. */
const SIGNATURES = [
  'ecdsa_secp256r1_sha256', 'ecdsa_secp384r1_sha384', 'ed25519',
  'rsa_pss_rsae_sha256', 'rsa_pss_rsae_sha384', 'rsa_pss_rsae_sha512', 'rsa_pkcs1_sha256', 'rsa_pkcs1_sha384', 'rsa_pkcs1_sha512',
].join(':');

/** Where TLS 1.2 is spoken: whoever gets the key of its tickets can read the sessions it sealed (RFC 5077 §5.5). Those of TLS 1.3 make new secrets. */
const NO_TICKETS = constants.SSL_OP_NO_TICKET;

/** How both https doors speak TLS. */
export function tlsOptions({ config, profiles }: Pick<Context, 'config' | 'profiles'>, material: TlsMaterial): TlsOptions {
  return {
    // Node takes a PEM here: the key leaves the store for this process's memory only.
    key: material.key.export({ type: 'pkcs8', format: 'pem' }),
    cert: material.chainPem,
    minVersion: config.tlsMinVersion,
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    ecdhCurve: GROUPS,
    sigalgs: SIGNATURES,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION | (config.tlsMinVersion === 'TLSv1.2' ? NO_TICKETS : 0),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: config.headersTimeoutMs,
    // A resumed session carries the certificate of its first handshake (DESIGN §4): no ticket outlives the shortest-lived certificate.
    sessionTimeout: profiles.shortestTtlSeconds,
  };
}

/**
 * Strict-Transport-Security of the API door (RFC 6797), the one door that browsers see. A browser keeps to https with the host on *every* port (§8.3): where
 * the status door is http at the same host, lists and bundles could not be opened any more. Addresses are not hosts to it (§8.1.1).
 */
export function strictTransportSecurity({ hstsSeconds, apiUrl, publicUrl }: Pick<Config, 'hstsSeconds' | 'apiUrl' | 'publicUrl'>): string | undefined {
  const [api, status] = [new URL(apiUrl), new URL(publicUrl)];
  const isAddress = isIP(api.hostname) !== 0 || api.hostname.startsWith('[') || api.hostname === 'localhost';
  const binds = status.protocol === 'http:' && status.hostname === api.hostname;
  return hstsSeconds === 0 || isAddress || binds ? undefined : `max-age=${hstsSeconds}`;
}
