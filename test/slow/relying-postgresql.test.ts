/** PostgreSQL that takes agents by their certificate, with the configuration of docs/relying-parties.md; psql with a certificate of ours, which judges the server's, too. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { installedPostgresql, startPostgresql, type RunningPostgresql } from '../support/debian-postgresql.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, run, versionOf, type Verdict } from '../support/interop.ts';
import { altered, forged, openSite, type Site, type SiteLeaf } from '../support/interop-site.ts';
import { makeCsrByOpenssl } from '../support/openssl.ts';
import { documentedBlock, fetchListsInto, layOut, untilVerdict } from '../support/outside-servers.ts';
import { temporaryFolder } from '../support/postgres.ts';

const binaries = installedPostgresql();
const program = await outsideProgram({
  name: 'postgresql (relying party)',
  debianPackage: 'postgresql',
  must: true,
  version: async () => (binaries === undefined ? undefined : versionOf(path.join(binaries, 'postgres'), ['--version'], /\(PostgreSQL\) (\S+)/)),
});

const AGENT = { key: 'ecdsa-p256', profile: 'agent' } as const;
const SERVICE = { key: 'ecdsa-p256', profile: 'service' } as const;
const REVOKED = /alert certificate revoked/;
/** The agent id that the document shows. */
const DOCUMENTED_AGENT = '01M7YV54J0C1R5T2E3R4J5D6F7';

let site: Site;
let server: SiteLeaf;
let agent: SiteLeaf;
let other: SiteLeaf;
let postgresql: RunningPostgresql;
const folder = temporaryFolder('signet-relying-postgresql-');
let lists: string;

beforeAll(async () => {
  if (binaries === undefined) return;
  site = await openSite({ authorityKey: 'ecdsa-p256', makeCsr: makeCsrByOpenssl });
  [server, agent, other] = [await site.enroll(SERVICE), await site.enroll(AGENT), await site.enroll(AGENT)];
  lists = layOut(site, server, folder);
  await fetchListsInto(site, lists);
  postgresql = await startPostgresql(binaries, (data, { uid, gid }) => {
    const at = (text: string) => text.replaceAll('/etc/postgresql/', `${folder}/`);
    fs.appendFileSync(path.join(data, 'postgresql.conf'), `\n${at(documentedBlock('postgresql.conf'))}`);
    fs.writeFileSync(path.join(data, 'pg_hba.conf'), `hostnossl all postgres 127.0.0.1/32 trust\n${documentedBlock('pg_hba.conf')}`);
    const line = documentedBlock('pg_ident.conf');
    const idents = [agent, other].map(({ identity }) => line.replace(DOCUMENTED_AGENT, identity.agentId));
    fs.writeFileSync(path.join(data, 'pg_ident.conf'), idents.join(''));
    fs.chmodSync(folder, 0o755);
    if (uid !== undefined && gid !== undefined) fs.chownSync(path.join(folder, 'signet', 'key.pem'), uid, gid);
  });
  await postgresql.sql(['CREATE ROLE reader LOGIN']);
}, INTEROP_TIMEOUT_MS);
afterAll(async () => {
  await postgresql?.stop();
  await site?.close();
  fs.rmSync(folder, { recursive: true, force: true });
}, INTEROP_TIMEOUT_MS);

type Client = Pick<SiteLeaf, 'chainFile' | 'keyFile'>;

/** One query of psql as the role `reader`. It checks the server by the lists as they are now. */
async function login(client?: Client, more: Record<string, string> = {}): Promise<Verdict> {
  if (client) fs.chmodSync(path.join(site.folder, client.keyFile), 0o600);
  const place = {
    host: `${server.file.replace(/\.pem$/, '')}.example.test`, hostaddr: '127.0.0.1', port: String(postgresql.port), user: 'reader', dbname: 'postgres', connect_timeout: '10',
    sslmode: 'verify-full', sslrootcert: `${site.rootId}.pem`, sslcrl: lists, sslcert: client?.chainFile ?? '/nowhere', sslkey: client?.keyFile ?? '/nowhere', ...more,
  };
  const { code, stdout, stderr } = await run('psql', ['-XAtc', 'SELECT current_user', Object.entries(place).map(([key, value]) => `${key}=${value}`).join(' ')], { cwd: site.folder });
  return { accepted: code === 0 && stdout.trim() === 'reader', said: stdout + stderr };
}

/** As the timer of the document would. */
async function fetched(): Promise<void> {
  await fetchListsInto(site, lists, 'kill', '-HUP', String(postgresql.pid()));
}

program.test('good, killed, resumed, retired: as the lists say, when they were fetched', async () => {
  program.expects('good', await login(agent));
  const resume = await site.kill(agent);
  await site.listed(agent, true);
  await fetched();
  program.expects('revoked', await untilVerdict(() => login(agent), false), REVOKED);
  program.expects('good', await login(other));
  await resume();
  await site.listed(agent, false);
  await fetched();
  program.expects('good', await untilVerdict(() => login(agent), true));
  await site.kill(agent, 'retire');
  await site.listed(agent, true);
  await fetched();
  program.expects('revoked', await untilVerdict(() => login(agent), false), REVOKED);
});

program.test('refuses what is altered, forged, another agent, or nothing at all', async () => {
  const stranger = await site.enroll(AGENT);
  const chainOf = (file: string): Client => ({ chainFile: site.write(`chain-of-${file}`, ...[file, `${site.issuerId}.pem`].map((name) => fs.readFileSync(path.join(site.folder, name), 'utf8'))), keyFile: other.keyFile });
  for (const bad of [chainOf(altered(site, other)), chainOf(forged(site, other))]) program.expects('known-bad', await login(bad), /alert (decrypt error|unknown ca|bad certificate)/);
  program.expects('known-bad', await login(stranger), /certificate authentication failed for user "reader"/);
  program.expects('known-bad', await login(), /requires a valid client certificate/);
  program.expects('good', await login(other));
});

program.test('a CA of the chain without a list refuses everybody: it fails closed', async () => {
  fs.copyFileSync(path.join(site.folder, await site.lists({ issuerId: site.issuerId })), lists);
  process.kill(postgresql.pid(), 'SIGHUP');
  const complete = path.join(site.folder, await site.completeLists());
  program.expects('known-bad', await untilVerdict(() => login(other, { sslcrl: complete }), false), /alert unknown ca/);
  await fetched();
  program.expects('good', await untilVerdict(() => login(other), true));
});

program.test('psql refuses a server that was revoked', async () => {
  program.expects('good', await login(other));
  await site.bring(server, 'revoked');
  await fetched();
  program.expects('revoked', await untilVerdict(() => login(other), false), /certificate verify failed/);
  // Without the lists it takes the same one: that was the reason.
  expect(await login(other, { sslcrl: '/nowhere' })).toMatchObject({ accepted: true });
});
