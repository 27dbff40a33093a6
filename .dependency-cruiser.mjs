/** Layers, highest first. A module may import its own layer (without cycles) and any layer below (docs/layout: README). */
const LAYERS = [
  ['http', 'jobs'], // who calls us
  ['enrollment', 'issuance', 'revocation', 'agents', 'admins', 'relying-parties'], // what the CA does
  ['authorities', 'audit', 'limits', 'policy', 'profiles'], // what it decides with
  ['db', 'keystore', 'config'], // what it talks to
  ['verify'], // what anyone can check offline
  ['api', 'x509'], // what it says on the wire
  ['core'], // errors, clock, random, log, metrics
];
const dirs = (names) => `^src/(${names.join('|')})/`;
const only = (name, path, owner) => ({ name, severity: 'error', from: { path: '^src/', pathNot: owner }, to: { path } });

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: { path: '^src/', pathNot: '^src/db/generated/' }, to: { circular: true } },
    { name: 'no-folder-cycles', severity: 'error', scope: 'folder', from: { path: '^src/', pathNot: '^src/db/generated' }, to: { circular: true } },
    ...LAYERS.slice(1).map((layer, i) => ({
      name: `no-upward-import-from-${layer[0]}`,
      severity: 'error',
      from: { path: dirs(layer) },
      to: { path: [dirs(LAYERS.slice(0, i + 1).flat()), '^src/(app|main|signet)[.]ts$', '^src/(admin|cli|client|supervisor)/'] },
    })),
    {
      name: 'decide-and-encode-without-io',
      severity: 'error',
      from: { path: dirs(['policy', 'profiles', 'verify', 'x509', 'api']) },
      to: { path: [dirs(['db', 'keystore', 'config']), '^src/core/(clock|random)[.]ts$'] },
    },
    // What is HTTP's own rests in tables of its own: idempotency records and API tokens. Of the rest it sees only views.
    {
      name: 'http-reads-through-views',
      severity: 'error',
      from: { path: '^src/http/' },
      to: { path: '^src/db/', pathNot: '^src/db/(views/|(client|errors|idempotency|admin-tokens)[.]ts$)' },
    },
    {
      name: 'plug-in-named-only-by-its-index',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(keystore|enrollment)/(index[.]ts$|[^/]+/)' },
      to: { path: '^src/(keystore|enrollment)/[^/]+/' },
    },
    {
      name: 'plug-in-knows-no-sibling',
      severity: 'error',
      from: { path: '^src/(keystore|enrollment)/([^/]+)/' },
      to: { path: '^src/$1/[^/]+/', pathNot: '^src/$1/$2/' },
    },
    {
      name: 'client-sees-only-wire-and-proofs',
      severity: 'error',
      from: { path: '^src/(client|cli)/' },
      to: { path: '^src/', pathNot: '^src/(client|cli|api|verify|x509|core)/' },
    },
    // A supervisor lives beside its workers all the time: what only serving needs is not loaded into it.
    {
      name: 'supervisor-stays-small',
      severity: 'error',
      from: { path: '^src/(supervisor/|main[.]ts$)' },
      to: { path: [dirs(LAYERS.flat().filter((name) => !['db', 'config', 'core'].includes(name))), '^src/(app|signet|context)[.]ts$', '^src/db/generated/'], dynamic: false, dependencyTypesNot: ['type-only'] },
    },
    only('cluster-only-in-supervisor', '^(node:)?cluster$', '^src/supervisor/'),
    only('prisma-only-in-db', '@prisma/', '^src/db/'),
    only('generated-only-in-db', '^src/db/generated/', '^src/db/'),
    only('pg-only-in-db', 'node_modules/pg/', '^src/db/'),
    only('express-only-in-http', 'node_modules/(@types/)?express', '^src/http/'),
    { name: 'not-unresolvable', severity: 'error', from: { path: '^src/' }, to: { couldNotResolve: true } },
    {
      name: 'reachable-from-an-entry',
      severity: 'error',
      from: { path: '^src/(main|signet|client/relying-party/index)[.]ts$' },
      to: { path: '^src/', pathNot: '([.]d[.]ts$|^src/db/generated/|^src/(main|signet|client/relying-party/index)[.]ts$)', reachable: false },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types', 'default'] },
  },
};
