/** Days on which a relying party cannot ask as it would: the feed, OCSP and lists down, lying, slow and large; clocks that are wrong; roots that change. */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RelyingParty, RelyingPartyOptions } from '../../src/client/relying-party/index.ts';
import { encodeOcspError } from '../../src/x509/ocsp-response.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { chainOf, partiesOf, partyToken, startBetween, until, type Between, type Parties } from '../support/relying-party.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startService, type Identity, type Service } from '../support/service.ts';
import { startTcpProxy, through, type TcpProxy } from '../support/tcp-proxy.ts';

let service: Service;
let parties: Parties;
let status: Between;
let feedDoor: TcpProxy;
let token: string;
let folder: string;
const DAY_MS = 86_400_000;
/** Not so long that a test waits, and longer than the service takes. */
const QUICK = { timeoutMs: 600, sweepMs: 200 } as const;

beforeAll(async () => {
  service = await startService();
  parties = partiesOf(service);
  // What certificates name is the status door itself; the SDK is sent to a place in front of it.
  status = await startBetween(service.signet.urls.status);
  feedDoor = await startTcpProxy({ host: '127.0.0.1', port: service.signet.ports.api });
  token = await partyToken(service, 'gateway');
  folder = temporaryFolder('signet-relying-party-');
}, 120_000);
afterAll(async () => {
  await parties.close();
  await status.close();
  await feedDoor.close();
  fs.rmSync(folder, { recursive: true, force: true });
  await service.close();
});
beforeEach(() => {
  status.answer = undefined;
  status.asked.length = 0;
});

const listOf = async (identity: Identity): Promise<string> => {
  const { issuerId } = JSON.parse((await service.admin.send('GET', `/v1/certificates/${identity.serial}`)).body.toString()) as { issuerId: string };
  return `/crl/${issuerId}/complete.crl`;
};
const isOcsp = ({ url }: http.IncomingMessage): boolean => url?.startsWith('/ocsp') === true;
const down = (_request: http.IncomingMessage, response: http.ServerResponse): boolean => {
  response.destroy();
  return true;
};
/** Without a feed, over the place in front of the status door. */
const offline = (options: Partial<RelyingPartyOptions> = {}): Promise<RelyingParty> => parties.open({ ...QUICK, statusUrl: status.url, identity: false, ...options });
const judge = (rp: RelyingParty, identity: Identity) => rp.judgeCertificate(chainOf(identity));
const revoke = (identity: Identity) => service.order(`/v1/certificates/${identity.serial}/revoke`, { reason: 'keyCompromise' });

describe('what is asked when the feed is down', () => {
  test('OCSP, and lists when that is down as well; each decision says by what, and how old that is', async () => {
    const [identity, other] = [await service.enrolled(), await service.enrolled()];
    const rp = await offline();
    expect(await judge(rp, identity)).toMatchObject({ allowed: true, source: 'ocsp' });
    expect(rp.state()).toMatchObject({ source: 'ocsp', n: undefined });
    status.answer = (request, response) => isOcsp(request) && down(request, response);
    expect(await judge(rp, other)).toMatchObject({ allowed: true, source: 'crl', ageMs: expect.any(Number) as unknown });
    expect(rp.state()).toMatchObject({ source: 'crl', why: expect.stringContaining('OCSP') as unknown });
    await revoke(other);
    await sleep(1_500); // a list is published at once, but not within the answer
    const later = await offline();
    expect(await judge(later, other)).toMatchObject({ allowed: false, code: 'certificate-revoked', source: 'crl' });
  });

  test('many questions about one certificate are one to OCSP', async () => {
    const identity = await service.enrolled();
    const rp = await offline();
    const decisions = await Promise.all(Array.from({ length: 200 }, () => judge(rp, identity)));
    expect([decisions.every(({ allowed }) => allowed), status.asked.filter((url) => url.startsWith('/ocsp')).length]).toEqual([true, 1]);
  });

  test('the feed that goes: OCSP takes over, and what the feed told of stays; the feed comes back, and is asked again', async () => {
    const [identity, revoked] = [await service.enrolled(), await service.enrolled()];
    const states: string[] = [];
    const rp = await offline({ feed: { urls: [through(feedDoor, service.signet.urls.api)], token, stalenessMs: 1_500 }, onState: ({ source }) => states.push(source) });
    await revoke(revoked);
    await until(async () => !(await judge(rp, revoked)).allowed);
    expect([await judge(rp, identity), rp.state().source]).toMatchObject([{ allowed: true, source: 'feed' }, 'feed']);
    await feedDoor.cut();
    await until(() => rp.state().source !== 'feed');
    expect(await judge(rp, identity)).toMatchObject({ allowed: true, source: 'ocsp' });
    expect(rp.state().why).toMatch(/^feed: stale: /);
    status.answer = down;
    expect(await judge(rp, revoked)).toMatchObject({ allowed: false, code: 'certificate-revoked', source: 'feed', detail: expect.stringContaining('before it was lost') as unknown });
    await feedDoor.restore();
    await until(() => rp.state().source === 'feed');
    expect(await judge(rp, identity)).toMatchObject({ allowed: true, source: 'feed' });
    expect(states).toContain('feed');
  });

  test('all down: closed refuses, open lets in and says so, for as long as it may', async () => {
    const unknown = await service.enrolled();
    const closed = await offline();
    const open = await offline({ mode: 'open', maxStalenessMs: 2_000 });
    status.answer = down;
    expect(await judge(closed, unknown)).toMatchObject({ allowed: false, status: 403, code: 'status-unknown' });
    expect(closed.state()).toMatchObject({ source: 'none', stalenessMs: Infinity });
    expect(await judge(open, unknown)).toMatchObject({ allowed: true, source: 'assumed', detail: expect.stringContaining('without knowing') as unknown });
    await sleep(2_100);
    expect(await judge(open, unknown)).toMatchObject({ allowed: false, code: 'status-unknown' });
  });
});

describe('answers that are not believed', () => {
  const onlyOcsp = () => offline({ crl: false });
  const give = (octets: Buffer, contentType = 'application/ocsp-response') => (_request: http.IncomingMessage, response: http.ServerResponse): boolean => {
    response.writeHead(200, { 'content-type': contentType, 'content-length': octets.length });
    response.end(octets);
    return true;
  };
  /** What the real responder says to another question. */
  const recorded = async (request: Buffer): Promise<Buffer> => {
    const answer = await fetch(`${service.signet.urls.status}/ocsp`, { method: 'POST', headers: { 'content-type': 'application/ocsp-request' }, body: new Uint8Array(request) });
    return Buffer.from(await answer.arrayBuffer());
  };

  test('of OCSP: an earlier answer played again, one about another certificate, errors, garbage, megabytes, silence', async () => {
    const [identity, other] = [await service.enrolled(), await service.enrolled()];
    let last: Buffer | undefined;
    status.answer = (_request, _response, body) => {
      last = body;
      return false;
    };
    expect(await judge(await onlyOcsp(), identity)).toMatchObject({ allowed: true });
    const replay = await recorded(last ?? Buffer.alloc(0));
    expect(await judge(await onlyOcsp(), other)).toMatchObject({ allowed: true });
    const aboutOther = await recorded(last ?? Buffer.alloc(0));
    const cases: [NonNullable<Between['answer']>, string][] = [
      [give(replay), 'nonce'],
      [give(aboutOther), 'nonce'],
      [give(encodeOcspError('tryLater')), 'tryLater'],
      [give(Buffer.from('<html>'), 'text/html'), 'octet'],
      [give(Buffer.alloc(3_000_000, 0x30)), 'larger than'],
      [(_request, response) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write('0'), 50);
        response.once('close', () => clearInterval(drip));
        return true;
      }, 'no whole answer within 600 ms'],
    ];
    for (const [answer, why] of cases) {
      status.answer = answer;
      expect(await judge(await onlyOcsp(), identity)).toMatchObject({ allowed: false, code: 'status-unknown', detail: expect.stringContaining(why) as unknown });
    }
  });

  test('of lists: an older one, also after a restart, garbage, one without an end, of another issuer', async () => {
    const [identity, revoked] = [await service.enrolled(), await service.enrolled()];
    const stateFile = path.join(folder, 'seen.json');
    const url = await listOf(identity);
    const instead = (octets: Buffer) => (request: http.IncomingMessage, response: http.ServerResponse) => request.url === url && give(octets)(request, response);
    const fetchList = async () => Buffer.from(await (await fetch(service.signet.urls.status + url)).arrayBuffer());
    const older = await fetchList();
    await revoke(revoked);
    await sleep(1_500);
    const onlyLists = () => offline({ ocsp: false, stateFile });
    expect(await judge(await onlyLists(), revoked)).toMatchObject({ allowed: false, code: 'certificate-revoked', source: 'crl' });
    status.answer = instead(older);
    expect(await judge(await onlyLists(), revoked)).toMatchObject({ allowed: false, code: 'status-unknown', detail: expect.stringMatching(/its number \d+ is below \d+, which was seen/) as unknown });
    // Somebody who never saw a newer one cannot know.
    expect(await judge(await offline({ ocsp: false }), revoked)).toMatchObject({ allowed: true });
    expect(fs.statSync(stateFile).mode & 0o777).toBe(0o600);
    for (const [octets, why] of [[Buffer.from('garbage'), 'malformed'], [older.subarray(0, -1), 'malformed'], [Buffer.concat([older.subarray(0, -2), Buffer.from([1, 2])]), 'not believed']] as const) {
      status.answer = instead(octets);
      expect(await judge(await onlyLists(), identity)).toMatchObject({ allowed: false, detail: expect.stringContaining(why) as unknown });
    }
    fs.writeFileSync(stateFile, '{"version":1,"lists":');
    await expect(onlyLists()).rejects.toThrow('cannot be read');
  });

  test('addresses in a certificate that is not trusted are never asked for', async () => {
    const asked: string[] = [];
    const trap = http.createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end();
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
    const stranger = selfSigned('stranger', { names: ['URI:spiffe://signet.internal/agent/01KAJ3G5N8AAAAAAAAAAAAAAAA'] });
    const rp = await parties.open({ ...QUICK, identity: false });
    expect(await rp.judgeCertificate([Buffer.from(stranger.certificate.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')])).toMatchObject({ allowed: false, code: 'certificate-untrusted', peer: undefined });
    expect(asked).toEqual([]);
    await new Promise((resolve) => trap.close(resolve));
  });
});

test.each([['ahead of', DAY_MS, 'certificate-expired'], ['behind', -DAY_MS, 'certificate-not-yet-valid']])('a clock a day %s: nobody is let in, and it is said why', async (word, offMs, code) => {
  const identity = await service.enrolled();
  const clock = { now: () => new Date(Date.now() + offMs), monotonicMs: () => performance.now() };
  const rp = await offline({ clock, feed: { urls: [service.signet.urls.api], token, openWithinMs: 500 } });
  await rp.refreshTrust();
  expect(await judge(rp, identity)).toMatchObject({ allowed: false, code, detail: expect.stringMatching(/clock is 86(399|40[01]) s/) as unknown });
  expect(rp.state()).toMatchObject({ why: expect.stringMatching(/feed: starting: /) as unknown });
  const { clockAheadMs = 0 } = rp.state();
  expect([Math.round(clockAheadMs / 3_600_000), word]).toEqual([offMs / 3_600_000, word]);
});

describe('roots', () => {
  test('bundles that lie are kept out: empty, of a stranger, of another trust domain, with a root that signed nothing, or no root at all', async () => {
    const identity = await service.enrolled();
    const file = path.join(folder, 'bundle.pem');
    fs.writeFileSync(file, service.signet.rootPem);
    const rp = await parties.open({ ...QUICK, trustBundle: { file }, identity: false });
    expect(await judge(rp, identity)).toMatchObject({ allowed: true });
    const [leafPem = ''] = identity.chain.match(/-----BEGIN[^-]+-----[^-]+-----END CERTIFICATE-----\n?/) ?? [];
    for (const [text, why] of [['', 'no root'], ['garbage', 'cannot be read'], [leafPem, 'no root'], [service.signet.rootPem + leafPem, 'no root'], ['x'.repeat(300_000), 'too large']] as const) {
      fs.writeFileSync(file, text);
      await rp.refreshTrust();
      expect(rp.state().trust).toEqual({ roots: 1, refused: expect.stringContaining(why) as unknown });
    }
    expect(await judge(rp, identity)).toMatchObject({ allowed: true });
    // Over the network: a stranger's TLS, whatever it says, is not what present roots vouch for.
    const stranger = await parties.open({ ...QUICK, identity: false, refreshFrom: [service.signet.urls.api], trustDomain: 'other.internal' });
    await stranger.refreshTrust();
    expect(stranger.state().trust).toMatchObject({ roots: 1, refused: expect.stringContaining('trust domain signet.internal') as unknown });
    await expect(parties.open({ trustBundle: '' })).rejects.toThrow('no root');
  });

  test('the service rolls to a new root: it is learned over TLS that the old one vouches for, and those under either are let in', async () => {
    const before = await service.enrolled();
    const rp = await parties.open({ ...QUICK, feed: { urls: [service.signet.urls.api], token } });
    expect(await judge(rp, before)).toMatchObject({ allowed: true, source: 'feed' });
    await service.order('/v1/authorities/rollover-root');
    await rp.refreshTrust();
    await until(async () => {
      await rp.refreshTrust();
      return rp.state().trust.roots === 2;
    });
    expect(rp.state().trust).toEqual({ roots: 2, refused: undefined });
    expect(await judge(rp, before)).toMatchObject({ allowed: true, source: 'feed' });
    await until(() => rp.state().source === 'feed');
  });
});
