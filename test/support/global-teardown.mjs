export default async function teardown() {
  await globalThis.__SIGNET_TEST_SERVER__?.stop();
}
