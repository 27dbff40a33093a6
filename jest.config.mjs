const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/support/strip.mjs' },
};

const database = {
  ...shared,
  rootDir: import.meta.dirname,
  testMatch: ['**/*.test.ts'],
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
};

/**
 * unit needs no database; the others share one Postgres (test/support/global-setup.mjs). `npm test` is unit and service, and stays under five minutes on two cores: three workers, so a suite of 30 s costs 10.
 * `npm run test:slow` is slow: what asks another program what one in `npm test` is asked already (gnutls, oracles and the other relying parties after openssl; linters), what watches over a tool rather than the product (mutations), what
 * starts the program anew for each case (cli, wrong-kek, documents, process.start, first-start, kill-issuance, kill-revocation, kill-database, database.embedded), what waits for an outage to last (bad-input.database-gone), and what needs many rows or minutes.
 */
export default {
  maxWorkers: process.env.JEST_WORKERS ?? 3,
  testTimeout: 30000,
  projects: [
    { ...shared, displayName: 'unit', rootDir: import.meta.dirname, roots: ['<rootDir>/test/unit'], testMatch: ['**/*.test.ts'] },
    { ...database, displayName: 'service', roots: ['<rootDir>/test/integration', '<rootDir>/test/fault', '<rootDir>/test/interop'] },
    { ...database, displayName: 'slow', roots: ['<rootDir>/test/slow'] },
  ],
};
