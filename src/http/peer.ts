import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { addressMatcher, plainAddress } from '../core/addresses.ts';
import { SignetError } from '../core/errors.ts';
import type { Config } from '../config/schema.ts';
import { checkClientCertChain, parseClientCert } from './client-cert-header.ts';
import { asSignetError } from './problem.ts';
import type { Door } from './route.ts';

/** Who is at the other end of a request, before any credential is judged. */
export interface Peer {
  /** Address of the client: the connection's, or what trusted proxies say. With a fault always the connection's. */
  source: string;
  /** DER of the client certificate, shown to us in the handshake, or to the trusted proxy whose connection it is. Only on the mutual TLS door; not judged yet. */
  peerCertificate: Buffer | undefined;
  /** Why the request is refused, whatever it asks. */
  peerFault: SignetError | undefined;
}

/**
 * Tells who is at the other end. From a trusted proxy the headers are believed, and only they: the TLS connection is the proxy's own, and a request without
 * Client-Cert has no client certificate, so that a proxy that forgets to set it lends its identity to nobody. From anybody else X-Forwarded-For is ignored and Client-Cert refused. Never throws.
 */
export function createPeerReader({ trustedProxies }: Pick<Config, 'trustedProxies'>): (door: Door, req: IncomingMessage) => Peer {
  const isProxy = trustedProxies.length === 0 ? () => false : addressMatcher(trustedProxies);

  return (door, req) => {
    const address = plainAddress(req.socket.remoteAddress ?? '');
    const fromProxy = door !== 'operations' && isProxy(address);
    try {
      return {
        source: fromProxy ? forwardedSource(address, req.headers['x-forwarded-for'], isProxy) : address,
        peerCertificate: door === 'mtls' ? certificateOf(req, fromProxy) : undefined,
        peerFault: undefined,
      };
    } catch (error) {
      return { source: address, peerCertificate: undefined, peerFault: asSignetError(error) };
    }
  };
}

/**
 * The address nearest to us that is not a trusted proxy. Every hop writes its client behind what it was sent, so the list is read from its end, and only as
 * far as who wrote it is trusted: what stands before that is the client's own invention.
 */
function forwardedSource(connection: string, forwardedFor: string | string[] | undefined, isProxy: (address: string) => boolean): string {
  if (forwardedFor === undefined) return connection;
  let source = connection;
  for (const hop of String(forwardedFor).split(',').toReversed()) {
    if (!isProxy(source)) break;
    const address = hopAddress(hop.trim());
    if (address === undefined) throw new SignetError('proxy-header-invalid', 'X-Forwarded-For must be a list of addresses; the proxy must write that of its client at the end');
    source = address;
  }
  return source;
}

/** `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`; some proxies add a port to the first and the last. */
function hopAddress(hop: string): string | undefined {
  const [, bracketed] = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(hop) ?? [];
  const address = bracketed ?? hop.replace(/^([0-9.]+):\d{1,5}$/, '$1');
  const family = isIP(address);
  return family === 0 || address.includes('%') || (bracketed !== undefined && family !== 6) ? undefined : plainAddress(address);
}

/** @throws SignetError `proxy-not-trusted`, `proxy-header-invalid` */
function certificateOf(req: IncomingMessage, fromProxy: boolean): Buffer | undefined {
  const { headers } = req;
  if (headers['client-cert'] === undefined && headers['client-cert-chain'] === undefined) {
    // What the proxy showed of itself says nothing about the one it speaks for, and whether it speaks for somebody only it knows.
    return fromProxy ? undefined : certificateOfHandshake(req.socket as TLSSocket);
  }
  if (!fromProxy) throw new SignetError('proxy-not-trusted', 'a Client-Cert header is believed only from the proxies in SIGNET_TRUSTED_PROXIES; the connection comes from another address');
  const { 'client-cert': lines, 'client-cert-chain': chain = [] } = req.headersDistinct;
  checkClientCertChain(chain);
  if (lines === undefined) throw new SignetError('proxy-header-invalid', 'Client-Cert-Chain came without Client-Cert (RFC 9440 §2.3)');
  return parseClientCert(lines);
}

/** The certificate belongs to the connection (renegotiation is off): it is fetched once for all requests on it, and judged on each. */
const certificates = new WeakMap<TLSSocket, Buffer | null>();

function certificateOfHandshake(socket: TLSSocket): Buffer | undefined {
  let der = certificates.get(socket);
  if (der === undefined) {
    der = socket.getPeerX509Certificate()?.raw ?? null;
    certificates.set(socket, der);
  }
  return der ?? undefined;
}
