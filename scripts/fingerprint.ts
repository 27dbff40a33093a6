import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/** SHA-256 over the names and contents of files and folders below `root` that git would track, and the version of Node. */
export function fingerprint(root: string, items: string[]): string {
  const hash = createHash('sha256').update(process.version);
  for (const item of items) addItem(hash, root, item);
  return hash.digest('hex');
}

function addItem(hash: ReturnType<typeof createHash>, root: string, item: string): void {
  const at = path.join(root, item);
  if (fs.statSync(at).isDirectory()) {
    for (const name of fs.readdirSync(at).toSorted()) if (!name.startsWith('.') && name !== 'generated') addItem(hash, root, `${item}/${name}`);
    return;
  }
  const content = fs.readFileSync(at);
  hash.update(`\0${item}\0${content.length}\0`).update(content);
}
