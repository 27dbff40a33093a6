/**
 * Runs a script of this folder on the Node that npm installed (optionalDependencies), whichever Node this is: `node scripts/run.mjs build.ts`.
 * An older npm (10, as it comes with Node 20 and 22) takes node_modules/.bin/node away again with the package for the other processor; here
 * it is put back, so that the npm scripts that follow find it. Plain JavaScript: an old Node must be able to read it.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SMALLEST_MAJOR = 24;
const scripts = path.dirname(fileURLToPath(import.meta.url));
const modules = path.resolve(scripts, '../node_modules');
const [script = '', ...args] = process.argv.slice(2);

function fail(text) {
  process.stderr.write(`signet: ${text}\n`);
  process.exit(69);
}

/** The installed Node, linked to where npm puts programs; this one where there is none for this machine. */
function findNode() {
  const installed = `node-${process.platform}-${process.arch}/bin/node`;
  if (!fs.existsSync(path.join(modules, installed))) {
    if (Number(process.versions.node.split('.')[0]) >= SMALLEST_MAJOR) return process.execPath;
    fail(`this is Node ${process.version}, and npm has no newer one for ${process.platform}-${process.arch} here: install Node ${SMALLEST_MAJOR} or newer, then run npm ci again`);
  }
  const link = path.join(modules, '.bin/node');
  try {
    if (!fs.existsSync(link)) fs.symlinkSync(path.join('..', installed), link);
  } catch (error) {
    // Made by another process in the same moment, or the folder is read-only: then later scripts run on the Node that is there.
    if (!['EEXIST', 'EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw error;
  }
  return path.join(modules, installed);
}

// NODE_ENV=production makes npm leave out what a build needs.
if (!fs.existsSync(path.join(modules, '@types/express'))) fail('the packages to build with are not installed: run npm ci --include=dev');
const ran = spawnSync(findNode(), [path.join(scripts, script), ...args], { stdio: 'inherit' });
if (ran.error) throw ran.error;
process.exit(ran.status ?? 1);
