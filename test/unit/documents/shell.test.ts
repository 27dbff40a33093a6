/** What runs the pages' commands must itself notice the first one that fails. */
import { expect, test } from '@jest/globals';
import { blocksOf, runShell, shellOf, type Block } from '../../support/documents.ts';

const where = { cwd: process.cwd(), env: { PATH: process.env.PATH ?? '' } };
const block = (line: number, text: string): Block => ({ place: `page.md:${line}`, line, info: 'sh', text });

test('the first command that fails ends the run and is named by its block; variables go from block to block', () => {
  const [first, last] = [block(1, 'A=kept\n'), block(9, 'echo "not reached"\n')];
  expect(runShell([first, block(5, 'echo "$A"\n')], where)).toEqual({ status: 0, stdout: 'kept\n', stderr: '' });
  for (const failing of ['false\n', 'false | cat\n', 'echo "$UNSET_BY_NOBODY"\n', 'no-such-program-anywhere\n', 'if true; then exit 3; fi\n']) {
    const { status, stdout, stderr } = runShell([first, block(5, failing), last], where);
    expect([failing, status === 0, stdout, /page\.md:5 failed\n$/.test(stderr)]).toEqual([failing, false, '', true]);
  }
});

test('what was left in the background is stopped', () => {
  const { status, stdout } = runShell([block(1, 'sleep 600 > /dev/null 2>&1 &\necho $!\n')], where);
  expect(status).toBe(0);
  expect(() => process.kill(Number(stdout), 0)).toThrow('ESRCH');
});

test('blocks are found by page and by mark; a mark without a block is a fault', () => {
  expect(blocksOf('README.md').map(({ info }) => info)).toEqual(['', 'console', 'sh', 'sh']);
  expect(shellOf('README.md', 'tour').map(({ text }) => text.includes('signet enroll'))).toEqual([true]);
  expect(shellOf('docs/backup.md', 'test: make')).toHaveLength(1);
  expect(() => shellOf('README.md', 'no-such-mark')).toThrow('README.md has no block no-such-mark');
});
