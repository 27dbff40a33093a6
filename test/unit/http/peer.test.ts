import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createPeerReader, type Peer } from '../../../src/http/peer.ts';
import type { Door } from '../../../src/http/route.ts';

const TRUSTED = ['10.0.0.0/8', '2001:db8::/32'];
const HANDSHAKE = Buffer.from('shown in the handshake');
const HEADER = Buffer.from('shown to the proxy');
const clientCert = `:${HEADER.toString('base64')}:`;

/** A request as Node's parser makes one: header lines in order. */
function request(from: string, lines: readonly [string, string][], certificate: Buffer | null): IncomingMessage {
  const socket = { remoteAddress: from, getPeerX509Certificate: () => (certificate ? { raw: certificate } : undefined), readableHighWaterMark: 0 };
  const req = new IncomingMessage(socket as unknown as Socket);
  // The parser's own way of filling both views of the header.
  (req as unknown as { _addHeaderLines(flat: string[], count: number): void })._addHeaderLines(lines.flat(), lines.length * 2);
  req.rawHeaders = lines.flat();
  return req;
}
const read = (from: string, lines: readonly [string, string][], { door = 'mtls', trusted = TRUSTED, certificate = HANDSHAKE }: { door?: Door; trusted?: readonly string[]; certificate?: Buffer | null } = {}): Peer =>
  createPeerReader({ trustedProxies: [...trusted] })(door, request(from, lines, certificate));
const xff = (value: string): [string, string] => ['X-Forwarded-For', value];

describe('the source', () => {
  test.each<[string, string, string, string]>([
    ['nothing forwarded: the proxy itself', '10.0.0.1', '', '10.0.0.1'],
    ['the client of the proxy', '10.0.0.1', '192.0.2.1', '192.0.2.1'],
    ['the right-most address that is no proxy', '10.0.0.1', '198.51.100.9, 192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['what the client invented is not even looked at', '10.0.0.1', 'unknown, <script>, 10.9.9.9, 192.0.2.1', '192.0.2.1'],
    ['proxies only: the outermost', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['IPv6 in brackets, with a port', '10.0.0.1', '[2001:DB9::1]:443', '2001:db9::1'],
    ['IPv6 as it is', '2001:db8::1', '2001:db9::1', '2001:db9::1'],
    ['IPv4 with a port', '10.0.0.1', '192.0.2.1:4711', '192.0.2.1'],
    ['IPv4 in IPv6, at both ends', '::ffff:10.0.0.1', '::ffff:192.0.2.1', '192.0.2.1'],
    ['a proxy in front of the proxy, as IPv4 in IPv6', '10.0.0.1', '192.0.2.1, ::ffff:10.0.0.2', '192.0.2.1'],
    ['not a proxy: ignored', '192.0.2.7', '192.0.2.1', '192.0.2.7'],
    ['not a proxy: ignored, broken or not', '192.0.2.7', 'garbage', '192.0.2.7'],
  ])('%s', (_, from, forwarded, source) => {
    const lines = forwarded === '' ? [] : [xff(forwarded)];
    for (const door of ['api', 'mtls', 'status'] as const) expect(read(from, lines, { door })).toMatchObject({ source, peerFault: undefined });
  });
  test('several lines are one list, in their order (RFC 9110 §5.3)', () => {
    expect(read('10.0.0.1', [xff('198.51.100.9'), xff('192.0.2.1')]).source).toBe('192.0.2.1');
  });
  test('the operations door believes nobody', () => {
    expect(read('10.0.0.1', [xff('192.0.2.1')], { door: 'operations' }).source).toBe('10.0.0.1');
  });
  test('without trusted proxies nobody is one', () => {
    expect(read('10.0.0.1', [xff('192.0.2.1')], { trusted: [] }).source).toBe('10.0.0.1');
  });
  test.each(['', ',', '192.0.2.1,', 'unknown', '_hidden', '192.0.2', '192.0.2.256', '192.0.2.1:', '192.0.2.1:123456', '[192.0.2.1]', '[2001:db8::1', '2001:db8::1]', '[]', 'fe80::1%eth0', '[fe80::1%eth0]', '"192.0.2.1"', 'for=192.0.2.1', '192.0.2.1 192.0.2.2', '0x7f.1'])(
    'a proxy that writes %j is refused, under its own address',
    (value) => {
      expect(read('10.0.0.1', [xff(value)])).toMatchObject({ source: '10.0.0.1', peerCertificate: undefined, peerFault: { code: 'proxy-header-invalid' } });
    },
  );
  test('whatever the client writes in front, what the proxy wrote at the end is the source', () => {
    const invented = fc.oneof(fc.string({ maxLength: 40 }), fc.ipV4(), fc.ipV6()).filter((text) => !/[\r\n]/.test(text));
    fc.assert(fc.property(invented, fc.constantFrom('192.0.2.1', '198.51.100.254', '2001:db9::7'), (text, client) => read('10.0.0.1', [xff(`${text}, ${client}`)]).source === client));
  });
  test('anything at all is a source or a fault of ours', () => {
    const text = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: fc.constantFrom(...'[]:.,%0123456789abf '.split('')), maxLength: 40 }));
    fc.assert(
      fc.property(text, (value) => {
        const { source, peerFault } = read('10.0.0.1', [xff(value)]);
        return peerFault === undefined ? /^[0-9a-f.:]+$/.test(source) : peerFault.code === 'proxy-header-invalid' && source === '10.0.0.1';
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the client certificate', () => {
  const header: [string, string] = ['Client-Cert', clientCert];
  const chain: [string, string] = ['Client-Cert-Chain', `${clientCert}, ${clientCert}`];

  test('from the handshake, of a direct client', () => {
    expect(read('192.0.2.7', [])).toEqual({ source: '192.0.2.7', peerCertificate: HANDSHAKE, peerFault: undefined });
    expect(read('192.0.2.7', [], { certificate: null }).peerCertificate).toBeUndefined();
  });
  test('from the header of a trusted proxy; it wins over what the proxy showed of itself', () => {
    expect(read('10.0.0.1', [header, xff('192.0.2.1')])).toEqual({ source: '192.0.2.1', peerCertificate: HEADER, peerFault: undefined });
    expect(read('10.0.0.1', [header, chain], { certificate: null }).peerCertificate).toEqual(HEADER);
  });
  test.each([[[xff('192.0.2.1')]], [[]]])('none, when a trusted proxy sends no such header (%j): its own certificate speaks for nobody behind it', (lines) => {
    expect(read('10.0.0.1', lines)).toMatchObject({ peerCertificate: undefined, peerFault: undefined });
  });
  test.each<[string, [string, string][]]>([['a certificate', [header]], ['garbage', [['client-cert', 'x']]], ['a chain alone', [chain]], ['two', [header, header]]])(
    'a direct client that sends %s in a header is refused, and is not who it says',
    (_, lines) => {
      expect(read('192.0.2.7', [...lines, xff('10.0.0.1')])).toMatchObject({ source: '192.0.2.7', peerCertificate: undefined, peerFault: { code: 'proxy-not-trusted' } });
      expect(read('10.0.0.1', lines, { trusted: [] }).peerFault?.code).toBe('proxy-not-trusted');
    },
  );
  test.each<[string, [string, string][]]>([
    ['two certificates', [header, header]], ['two on one line', [['Client-Cert', `${clientCert}, ${clientCert}`]]], ['garbage', [['Client-Cert', 'x']]], ['nothing', [['Client-Cert', '']]],
    ['a chain alone', [chain]], ['a broken chain', [header, ['Client-Cert-Chain', 'x']]], ['a broken line of the chain', [header, chain, ['Client-Cert-Chain', 'x']]],
  ])('a trusted proxy that sends %s is refused', (_, lines) => {
    expect(read('10.0.0.1', lines)).toMatchObject({ source: '10.0.0.1', peerCertificate: undefined, peerFault: { code: 'proxy-header-invalid' } });
  });
  test('the other doors know no client certificates, and let the header be', () => {
    for (const door of ['api', 'status', 'operations'] as const) expect(read('192.0.2.7', [header], { door })).toEqual({ source: '192.0.2.7', peerCertificate: undefined, peerFault: undefined });
  });
});
