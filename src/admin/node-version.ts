/** Imported first by main.ts: an older Node would end somewhere in the middle of the start, for a reason nobody could guess. */
const SMALLEST_MAJOR = 24;

if (Number(process.versions.node.split('.')[0]) < SMALLEST_MAJOR) {
  process.stderr.write(`signet: this is Node ${process.versions.node}, and Signet needs Node ${SMALLEST_MAJOR} or newer: npm start brings one along (node_modules/.bin/node)\n`);
  process.exit(78);
}
