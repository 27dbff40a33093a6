/** `npm run check`: types, lint, layers and unit tests at once; the output of each as a whole, and the time it took. */
import { spawn } from 'node:child_process';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const STEPS = ['check:types', 'check:lint', 'check:layers', 'test:unit'];

function run(step: string): Promise<{ step: string; code: number | null; output: string; seconds: string }> {
  const began = performance.now();
  const child = spawn('npm', ['run', '-s', step], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ step, code, output, seconds: ((performance.now() - began) / 1000).toFixed(1) }));
  });
}

const results = await Promise.all(STEPS.map(run));
for (const { step, code, output, seconds } of results) {
  if (code !== 0) process.stdout.write(`\n── ${step}\n${output}`);
  process.stdout.write(`${code === 0 ? '✔' : '✘'} ${step} (${seconds} s)\n`);
}
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;
