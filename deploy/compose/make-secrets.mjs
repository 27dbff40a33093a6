// Makes what compose.yaml needs to start, once: passwords of three database roles and the key-encryption key. What is there is never overwritten; a step killed in
// the middle is finished by the next. Plain JavaScript: it runs in the image with nothing but Node.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const { SECRETS_FOR_SIGNET: forSignet, SECRETS_FOR_POSTGRES: forPostgres, DATABASE_HOST: host } = process.env;
/** uid of `node` in Signet's image, of `postgres` in PostgreSQL's (Debian). */
const SIGNET_UID = 1000;
const POSTGRES_UID = 999;

/** The text of a secret, made and durable before it is used. */
function secret(folder, name, uid, make) {
  const file = path.join(folder, name);
  if (!fs.existsSync(file)) {
    fs.rmSync(`${file}.new`, { force: true });
    fs.writeFileSync(`${file}.new`, make(), { mode: 0o400, flag: 'wx', flush: true });
    if (process.getuid() === 0) fs.chownSync(`${file}.new`, uid, uid);
    fs.renameSync(`${file}.new`, file);
    console.log(`made ${file}`);
  }
  return fs.readFileSync(file, 'utf8').trim();
}

const password = () => randomBytes(24).toString('hex');
secret(forPostgres, 'superuser-password', POSTGRES_UID, password);
const owner = secret(forPostgres, 'owner-password', POSTGRES_UID, password);
const service = secret(forPostgres, 'service-password', POSTGRES_UID, password);
secret(forSignet, 'kek', SIGNET_UID, () => `${randomBytes(32).toString('base64')}\n`);
secret(forSignet, 'signet.json', SIGNET_UID, () =>
  `${JSON.stringify({ databaseUrl: `postgresql://signet_service:${service}@${host}/signet`, ownerDatabaseUrl: `postgresql://signet_owner:${owner}@${host}/signet` }, null, 2)}\n`,
);
