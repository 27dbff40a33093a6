const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/support/strip.mjs' },
};

/** unit needs no database; integration, fault and interop share one Postgres (test/support/global-setup.mjs). */
export default {
  maxWorkers: process.env.JEST_WORKERS ?? 3,
  testTimeout: 30000,
  projects: [
    { ...shared, displayName: 'unit', rootDir: import.meta.dirname, roots: ['<rootDir>/test/unit'], testMatch: ['**/*.test.ts'] },
    {
      ...shared,
      displayName: 'service',
      rootDir: import.meta.dirname,
      roots: ['<rootDir>/test/integration', '<rootDir>/test/fault', '<rootDir>/test/interop'],
      testMatch: ['**/*.test.ts'],
      globalSetup: '<rootDir>/test/support/global-setup.mjs',
      globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
    },
  ],
};
