/** A log in memory: what a service makes of its events, for whoever checks one. */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { formatCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { appendLeaf, emptyTree, leafHash, makeConsistencyProof, makeInclusionProof, rootOf, type NodeReader } from '../../src/verify/log/merkle.ts';
import { cosignedMessage, encodeCosignature, formatNote, formatVerifierKey, noteKey, type NoteKey, type NoteKeyType } from '../../src/verify/log/note.ts';
import { encodeEntries, type TileReader } from '../../src/verify/log/tiles.ts';

export interface NoteSigner {
  key: NoteKey;
  vkey: string;
  private: KeyObject;
}

export function noteSigner(name: string, type: NoteKeyType = 'ed25519'): NoteSigner {
  const pair = generateKeyPairSync('ed25519');
  const key = noteKey(name, type, Buffer.from(pair.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'));
  return { key, vkey: formatVerifierKey(key), private: pair.privateKey };
}

/** A note signed by each; witnesses say that they saw it at `time`. */
export const signNote = (text: string, signers: readonly NoteSigner[], time = 1_700_000_000): string =>
  formatNote({
    text,
    signatures: signers.map(({ key, private: secret }) => ({
      name: key.name,
      keyId: key.keyId,
      signature: key.type === 'ed25519' ? sign(null, Buffer.from(text), secret) : encodeCosignature(time, sign(null, cosignedMessage(text, time), secret)),
    })),
  });

/** A log of these entries. */
export class MemoryLog {
  readonly signer: NoteSigner;
  readonly entries: Buffer[] = [];
  private readonly tree = emptyTree();
  private readonly nodes = new Map<string, Buffer>();

  constructor(entries: readonly (Buffer | string)[] = [], signer = noteSigner('agents.example')) {
    this.signer = signer;
    for (const entry of entries) this.append(entry);
  }

  get size(): number {
    return this.tree.size;
  }

  append(entry: Buffer | string): number {
    const bytes = Buffer.from(entry);
    this.entries.push(bytes);
    appendLeaf(this.tree, leafHash(bytes), ({ level, index }, hash) => this.nodes.set(`${level}/${index}`, Buffer.from(hash)));
    return this.size - 1;
  }

  readonly readNodes: NodeReader = (ids) => Promise.resolve(ids.map(({ level, index }) => this.node(level, index)));

  /** Tiles, and entry bundles, of the tree as it is now. */
  readonly readTiles: TileReader = (tiles) =>
    Promise.resolve(
      tiles.map(({ level, index, width }) => {
        const first = index * 256;
        if (level === 'entries') return encodeEntries(this.entries.slice(first, first + width));
        return Buffer.concat(Array.from({ length: width }, (_, i) => this.node(level * 8, first + i)));
      }),
    );

  private node(level: number, index: number): Buffer {
    const hash = this.nodes.get(`${level}/${index}`);
    if (!hash) throw new Error(`the log has no node ${level}/${index}`);
    return hash;
  }

  /** Signed by the log, then by these. */
  checkpoint(witnesses: readonly NoteSigner[] = []): string {
    return signNote(formatCheckpoint({ origin: this.signer.key.name, size: this.size, root: rootOf(this.tree) }), [this.signer, ...witnesses]);
  }

  inclusionProof = (index: number): Promise<Buffer[]> => makeInclusionProof(index, this.size, this.readNodes);
  consistencyProof = (first: number, second = this.size): Promise<Buffer[]> => makeConsistencyProof(first, second, this.readNodes);
}

export const hexOf = (hashes: readonly Uint8Array[]): string[] => hashes.map((hash) => Buffer.from(hash).toString('hex'));
