import { startTestServer } from './postgres.ts';

/** One Postgres for the whole run, with a migrated template database that every test file clones (db.ts). */
export default async function setup() {
  const server = await startTestServer();
  globalThis.__SIGNET_TEST_SERVER__ = server;
  // Workers are forked after this and inherit it.
  process.env.SIGNET_TEST_OWNER_URL = server.ownerUrl;
  process.env.SIGNET_TEST_SERVICE_URL = server.serviceUrl;
}
