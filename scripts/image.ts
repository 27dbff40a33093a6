import fs from 'node:fs';
import path from 'node:path';

/**
 * Lays out what an image with a database elsewhere needs to run: `node scripts/image.ts <folder>`, after a build. The packages are those that package.json
 * depends on, and what these depend on: no peers that npm keeps beside them (Prisma's command line, its studio, TypeScript), no optional ones (the embedded
 * PostgreSQL, the Node for machines without one), and of Prisma's client the query compiler of one database.
 */
const root = path.resolve(import.meta.dirname, '..');
const modules = path.join(root, 'node_modules');

interface Manifest {
  dependencies?: Record<string, string>;
}

const manifestOf = (folder: string): Manifest => JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest;

/** Folder of a package as Node finds it from another one: nested first, then upwards. @throws Error when it is not installed */
function resolvePackage(name: string, from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'node_modules', name);
    if (fs.existsSync(path.join(candidate, 'package.json'))) return candidate;
    if (folder === root) throw new Error(`${name}, which ${path.relative(root, from)} depends on, is not installed: npm ci`);
  }
}

/** Every package that runs, by folder. */
function closure(): Set<string> {
  const found = new Set<string>();
  const visit = (folder: string) => {
    for (const name of Object.keys(manifestOf(folder).dependencies ?? {})) {
      const dependency = resolvePackage(name, folder);
      if (found.has(dependency)) continue;
      found.add(dependency);
      visit(dependency);
    }
  };
  visit(root);
  return found;
}

/** Types, maps, documents and TypeScript sources are for people and compilers. */
const NOT_RUN = /(\.d\.[cm]?ts|\.[cm]?ts|\.map|\.md|\.markdown|\.flow|\.tsbuildinfo)$/i;
/** Prisma's client carries its compilers for five databases, twice in size and twice as a module format. */
const OTHER_COMPILER = /^query_compiler_(?!fast_bg\.postgresql\.(wasm-base64\.)?mjs$)/;

function isNeeded(packageFolder: string, file: string): boolean {
  const inside = path.relative(packageFolder, file);
  if (inside.split(path.sep).includes('node_modules')) return false;
  if (OTHER_COMPILER.test(path.basename(file)) && inside.startsWith('runtime')) return false;
  return fs.statSync(file).isDirectory() || !NOT_RUN.test(file);
}

const [target] = process.argv.slice(2);
if (target === undefined) {
  process.stderr.write('which folder? node scripts/image.ts <folder>\n');
  process.exit(64);
}
if (!fs.existsSync(path.join(root, 'dist/main.js'))) {
  process.stderr.write('dist/ is not there: npm run build\n');
  process.exit(66);
}
fs.mkdirSync(target, { recursive: true });
for (const folder of closure()) {
  fs.cpSync(folder, path.join(target, 'node_modules', path.relative(modules, folder)), { recursive: true, filter: (file) => isNeeded(folder, file) });
}
fs.cpSync(path.join(root, 'dist'), path.join(target, 'dist'), { recursive: true, filter: (file) => !file.endsWith('.map') });
fs.cpSync(path.join(root, 'prisma/migrations'), path.join(target, 'prisma/migrations'), { recursive: true });
for (const file of ['package.json', 'LICENSE']) fs.copyFileSync(path.join(root, file), path.join(target, file));
