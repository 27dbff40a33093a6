import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openCheckpoint, parseDecimal } from '../../src/verify/log/checkpoint.ts';
import { verifyConsistency } from '../../src/verify/log/merkle.ts';
import { cosignedMessage, decodeBase64, encodeCosignature, formatVerifierKey, keyIdOf, noteKey, parseNote, parseVerifierKey, signatureLine } from '../../src/verify/log/note.ts';

/** A witness as C2SP tlog-witness has it, over loopback http: it keeps the newest checkpoint of each log, and cosigns only what is consistent with it. */
export interface TestWitness {
  name: string;
  url: string;
  vkey: string;
  /** As `SIGNET_AUDIT_WITNESSES` has it. */
  config: string;
  /** Answers by status, in order. */
  answered: number[];
  /** Sizes that it has cosigned, in order. */
  sizes: number[];
  /** What it does instead of its work; undefined: its work. */
  misbehave: ((res: ServerResponse, cosigned: string) => void) | undefined;
  /** Takes the log for one of this size. */
  forget(size: number): void;
  close(): Promise<void>;
}

export async function startWitness(name: string, logKey: () => string): Promise<TestWitness> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const octets = publicKey.export({ type: 'spki', format: 'der' }).subarray(12);
  const key = noteKey(name, 'cosignature', octets);
  let seen: { size: number; root: Buffer } = { size: 0, root: Buffer.alloc(0) };

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const end = body.indexOf('\n\n');
    const [old = '', ...proof] = body.slice(0, end).split('\n');
    const note = body.slice(end + 2);
    const checkpoint = openCheckpoint(note, { logKey: parseVerifierKey(logKey()) });
    const oldSize = parseDecimal(/^old (\d+)$/.exec(old)?.[1] ?? 'none');
    const reply = (status: number, text: string, type = 'text/plain'): void => {
      witness.answered.push(status);
      res.writeHead(status, { 'content-type': type }).end(text);
    };
    if (req.url !== '/prefix/add-checkpoint' || req.method !== 'POST') return reply(404, '');
    if (oldSize > checkpoint.size) return reply(400, '');
    if (oldSize !== seen.size) return reply(409, `${seen.size}\n`, 'text/x.tlog.size');
    try {
      const hashes = proof.map((line) => decodeBase64(line) ?? Buffer.alloc(0));
      if (oldSize > 0) verifyConsistency(hashes, { first: oldSize, second: checkpoint.size, firstRoot: seen.root, secondRoot: checkpoint.root });
      else if (proof.length > 0) return reply(422, '');
    } catch {
      return reply(422, '');
    }
    seen = { size: checkpoint.size, root: checkpoint.root };
    const time = Math.floor(Date.now() / 1000);
    const signature = encodeCosignature(time, sign(null, cosignedMessage(parseNote(note).text, time), privateKey));
    const cosigned = signatureLine({ name, keyId: keyIdOf(name, 'cosignature', octets), signature });
    if (witness.misbehave) return witness.misbehave(res, cosigned);
    witness.sizes.push(checkpoint.size);
    reply(200, cosigned);
  }

  const server = createServer((req, res) => void answer(req, res).catch((error: unknown) => res.writeHead(500).end(String(error))));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix`;
  const vkey = formatVerifierKey(key);
  const witness: TestWitness = {
    name, url, vkey, config: `${url} ${vkey}`, answered: [], sizes: [], misbehave: undefined,
    forget: (size) => void (seen = { ...seen, size }),
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
  return witness;
}
