/** nginx, HAProxy, Apache and curl as relying parties, with the configuration of docs/relying-parties.md: what they make of a kill, and what they do when they cannot know. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { parseCrl } from '../../src/x509/crl.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, versionOf, type OutsideProgram, type Verdict } from '../support/interop.ts';
import { altered, forged, openSite, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { answersAt, installedProgram } from '../support/outside-proxies.ts';
import { callServer, documentedOptions, reloadLists, startServer, untilVerdict, type OutsideServer, type ServerPlan } from '../support/outside-servers.ts';
import { askOcsp, makeCsrByOpenssl, openssl } from '../support/openssl.ts';
import { freePort } from '../support/signet-process.ts';

const programOf = async (name: ServerPlan['program'] | 'curl', debianPackage: string, args: string[], pattern: RegExp) => {
  const file = installedProgram(name);
  return outsideProgram({ name: `${name} (relying party)`, debianPackage, must: true, version: async () => (file === undefined ? undefined : versionOf(file, args, pattern)) });
};
const nginx = await programOf('nginx', 'nginx-light', ['-v'], /nginx\/(\S+)/);
const haproxy = await programOf('haproxy', 'haproxy', ['-v'], /version (\S+)/);
const apache = await programOf('apache2', 'apache2', ['-v'], /Apache\/(\S+)/);
const curl = await programOf('curl', 'curl', ['--version'], /^curl (\S+)/);

/** The shortest that may be: a list of the beginning has ended before the file has. */
const LISTS = { SIGNET_CRL_INTERVAL_SECONDS: '10', SIGNET_CRL_VALIDITY_SECONDS: '60' };
const AGENT = { key: 'ecdsa-p256', profile: 'agent' } as const;
const SERVICE = { key: 'ecdsa-p256', profile: 'service' } as const;

let site: Site;
let server: SiteLeaf;
let staleLists: string;
let staleUntil: number;
beforeAll(async () => {
  site = await openSite({ authorityKey: 'ecdsa-p256', makeCsr: makeCsrByOpenssl, env: LISTS });
  server = await site.enroll(SERVICE);
  staleLists = read(await site.completeLists());
  staleUntil = parseCrl(await site.list(site.issuerId)).nextUpdate?.getTime() ?? 0;
}, INTEROP_TIMEOUT_MS);
afterAll(() => site?.close(), INTEROP_TIMEOUT_MS);

type Client = Pick<SiteLeaf, 'chainFile' | 'keyFile'>;
const read = (file: string): string => fs.readFileSync(path.join(site.folder, file), 'utf8');

/** What everybody must refuse, whatever is known of revocation. */
async function refusesStrangers(program: OutsideProgram, call: (client?: Client) => Promise<Verdict>, why: RegExp): Promise<void> {
  const good = await site.enroll(AGENT);
  const chainOf = (file: string): Client => ({ chainFile: site.write(`chain-of-${file}`, read(file), read(`${site.issuerId}.pem`)), keyFile: good.keyFile });
  const stranger = { chainFile: 'stranger.pem', keyFile: 'stranger.key' };
  await openssl(site.folder, 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', stranger.keyFile, '-out', stranger.chainFile, '-subj', `/CN=${good.identity.agentId}`, '-days', '1');
  for (const bad of [chainOf(altered(site, good)), chainOf(forged(site, good)), stranger, undefined]) program.expects('known-bad', await call(bad), why);
  program.expects('good', await call(good));
}

const LIST_PROGRAMS = [
  { name: 'nginx', program: nginx, title: 'nginx: lists', signal: 'HUP', why: /400 (The SSL certificate error|No required SSL certificate)|SSL certificate error|No required SSL/ },
  { name: 'haproxy', program: haproxy, title: 'haproxy: lists', signal: 'USR2', why: /alert (certificate revoked|unknown ca|certificate required|decrypt error|certificate expired|handshake failure)/ },
] as const;

describe.each(LIST_PROGRAMS)('$name with lists', ({ name, program, title, signal, why }) => {
  let running: OutsideServer;
  const call = (client?: Pick<SiteLeaf, 'chainFile' | 'keyFile'>) => callServer(site, server, running.ports[443] ?? 0, { client });
  beforeAll(async () => {
    if (program.isHere) running = await startServer(site, { program: name, title, server });
  }, INTEROP_TIMEOUT_MS);
  afterAll(() => running?.stop());

  program.test('good, killed, resumed, retired: as the lists say, when they were fetched', async () => {
    const [agent, other] = [await site.enroll(AGENT), await site.enroll(AGENT)];
    program.expects('good', await call(agent));
    const resume = await site.kill(agent);
    await site.listed(agent, true);
    // What it can know: nothing until then.
    expect(await call(agent)).toMatchObject({ accepted: true });
    await reloadLists(site, running, signal);
    program.expects('revoked', await untilVerdict(() => call(agent), false), why);
    program.expects('good', await call(other));

    await resume();
    await site.listed(agent, false);
    await reloadLists(site, running, signal);
    program.expects('good', await untilVerdict(() => call(agent), true));

    await site.kill(agent, 'retire');
    await site.listed(agent, true);
    await reloadLists(site, running, signal);
    program.expects('revoked', await untilVerdict(() => call(agent), false), why);
    program.expects('good', await call(other));
  });

  program.test('refuses what is altered, forged, self-signed, or nothing at all', () => refusesStrangers(program, call, why));

  program.test('a chain of which one CA has no list, and lists that have ended, refuse everybody: it fails closed', async () => {
    const agent = await site.enroll(AGENT);
    const withLists = async (pem: string): Promise<Verdict> => {
      fs.writeFileSync(running.lists, pem);
      process.kill(running.pid, `SIG${signal}`);
      return untilVerdict(() => call(agent), false);
    };
    program.expects('known-bad', await withLists(read(await site.lists({ issuerId: site.issuerId }))), why);
    await reloadLists(site, running, signal);
    program.expects('good', await untilVerdict(() => call(agent), true));
    await sleep(Math.max(0, staleUntil - Date.now() + 1_100));
    program.expects('known-bad', await withLists(staleLists), why);
    await reloadLists(site, running, signal);
    program.expects('good', await untilVerdict(() => call(agent), true));
  });
});

const OCSP_PROGRAMS = [
  {
    name: 'nginx', program: nginx, title: 'nginx: ocsp and stapling', why: /400[^]*SSL certificate error|No required SSL/,
    deaf: (text: string) => text.replace('ssl_ocsp leaf;', 'ssl_ocsp leaf;\nssl_ocsp_responder http://127.0.0.1:9/;'),
  },
  {
    name: 'apache2', program: apache, title: 'apache: ocsp', why: /alert (certificate revoked|unknown ca|certificate required|decrypt error|certificate unknown|internal error|bad certificate|handshake failure)/,
    deaf: (text: string) => text.replace('SSLOCSPEnable leaf', 'SSLOCSPEnable leaf\nSSLOCSPDefaultResponder http://127.0.0.1:9/\nSSLOCSPOverrideResponder on'),
  },
] as const;

describe.each(OCSP_PROGRAMS)('$name with OCSP', ({ name, program, title, why, deaf }) => {
  let running: OutsideServer;
  const callAt = (at: OutsideServer) => (client?: Client) => callServer(site, server, at.ports[443] ?? 0, { client });
  const call = (client?: Client) => callAt(running)(client);
  beforeAll(async () => {
    if (program.isHere) running = await startServer(site, { program: name, title, server });
  }, INTEROP_TIMEOUT_MS);
  afterAll(() => running?.stop());

  program.test('good, killed, resumed, retired: at the next handshake after the acknowledgement', async () => {
    const [agent, other] = [await site.enroll(AGENT), await site.enroll(AGENT)];
    program.expects('good', await call(agent));
    const resume = await site.kill(agent);
    program.expects('revoked', await call(agent), why);
    program.expects('good', await call(other));
    await resume();
    program.expects('good', await call(agent));
    await site.kill(agent, 'retire');
    program.expects('revoked', await call(agent), why);
    program.expects('good', await call(other));
  });

  program.test('refuses what is altered, forged, self-signed, or nothing at all', () => refusesStrangers(program, call, why));

  program.test('a responder that does not answer lets nobody in: it fails closed', async () => {
    const alone = await startServer(site, { program: name, title, server, change: deaf });
    program.expects('known-bad', await callAt(alone)(await site.enroll(AGENT)), why);
    await alone.stop();
  });
});

describe('curl --cert-status against nginx with a certificate of ours', () => {
  const open = async (leaf: SiteLeaf, change?: (text: string) => string) => startServer(site, { program: 'nginx', title: 'nginx: ocsp and stapling', server: leaf, ...(change && { change }) });
  const call = (leaf: SiteLeaf, at: OutsideServer) => callServer(site, leaf, at.ports[444] ?? 0, { more: documentedOptions('curl') });
  // The first handshake of a worker has nothing to staple yet; it makes the worker ask.
  const warm = async (leaf: SiteLeaf, at: OutsideServer) => untilVerdict(() => call(leaf, at), true);

  curl.test('a stapled answer is good; revoked is refused; nothing stapled is refused', async () => {
    const [good, revoked, held] = [await site.enroll(SERVICE), await site.bring(await site.enroll(SERVICE), 'revoked'), await site.bring(await site.enroll(SERVICE), 'held')];
    const running = await open(good);
    curl.expects('known-bad', await call(good, running), /No OCSP response received[^]*curl: 91/);
    curl.expects('good', await warm(good, running));
    await running.stop();

    // nginx itself sees what became of its certificate, and staples nothing then.
    for (const leaf of [revoked, held]) {
      const at = await open(leaf);
      await call(leaf, at);
      await until(() => at.said().includes('certificate status "revoked" in the OCSP response'));
      curl.expects('revoked', await call(leaf, at), /No OCSP response received[^]*curl: 91/);
      await at.stop();
    }
    const silent = await open(good, (text) => text.replaceAll('ssl_stapling on;', ''));
    await call(good, silent);
    curl.expects('known-bad', await call(good, silent), /No OCSP response received[^]*curl: 91/);
    await silent.stop();
  });

  curl.test('a server that staples what it was told, whatever it was', async () => {
    const [good, other, revoked, held] = [await site.enroll(SERVICE), await site.enroll(SERVICE), await site.bring(await site.enroll(SERVICE), 'revoked'), await site.bring(await site.enroll(SERVICE), 'held')];
    const stapling = async (leaf: SiteLeaf, about = leaf): Promise<Verdict> => {
      const port = await freePort();
      const answer = `staple-of-${about.file}.der`;
      await askOcsp(site, { root: `${site.rootId}.pem`, issuer: `${site.issuerId}.pem`, leaf: about.file, more: ['-respout', answer] });
      const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', leaf.file, '-cert_chain', leaf.chainFile, '-key', leaf.keyFile, '-status_file', answer, '-www', '-quiet'], { cwd: site.folder, stdio: 'ignore' });
      try {
        await answersAt(port, child, () => 's_server', 10_000);
        return await callServer(site, leaf, port, { more: documentedOptions('curl') });
      } finally {
        child.kill('SIGKILL');
      }
    };
    curl.expects('good', await stapling(good));
    for (const leaf of [revoked, held]) curl.expects('revoked', await stapling(leaf), /certificate revoked|Server certificate revoked|curl: 91/i);
    curl.expects('known-bad', await stapling(good, other), /curl: 91/);
  });
});

nginx.test('a rotation goes unnoticed where the timer runs, and stops everybody of the new issuer where it does not', async () => {
  const [timed, forgotten] = [await startServer(site, { program: 'nginx', title: 'nginx: lists', server }), await startServer(site, { program: 'nginx', title: 'nginx: lists', server })];
  const before = await site.enroll(AGENT);
  const next = await site.rotateIssuer(() => untilDone(() => reloadLists(site, timed, 'HUP')));
  const after = await site.enroll(AGENT);
  expect([before.issuerId, after.issuerId]).toEqual([site.issuerId, next]);
  const call = (at: OutsideServer, client: SiteLeaf) => callServer(site, server, at.ports[443] ?? 0, { client });
  for (const client of [before, after]) nginx.expects('good', await untilVerdict(() => call(timed, client), true));
  nginx.expects('good', await call(forgotten, before));
  nginx.expects('known-bad', await call(forgotten, after), /SSL certificate error/);
  for (const one of [timed, forgotten]) await one.stop();
});

/** As a timer would: again, where the list of the prepared issuer was not there yet. */
async function untilDone(work: () => Promise<void>): Promise<void> {
  for (const deadline = performance.now() + 20_000; ; await sleep(200)) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !isSo() && performance.now() < deadline; ) await sleep(20);
  expect(isSo()).toBe(true);
}
