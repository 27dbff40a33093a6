import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { IssuanceProof } from '../../../../src/api/log-proofs.ts';
import { verifyIssuanceProof, type LogTrust } from '../../../../src/verify/log/issuance-proof.ts';
import { LogError, type LogFault } from '../../../../src/verify/log/log-error.ts';
import { hexOf, MemoryLog, noteSigner, type NoteSigner } from '../../../support/log.ts';

const CERTIFICATE = Buffer.from('any octets do: the proof is of octets');
const sha256 = (octets: Uint8Array): string => createHash('sha256').update(octets).digest('hex');
const issued = (over: Record<string, unknown> = {}): string =>
  JSON.stringify({ v: 2, id: '01M7YV54J0C1R5T2E3R4J5D6F7', kind: 'certificate.issued', outcome: 'success', at: '2026-11-21T12:00:00.000Z', actor: { kind: 'join-token', id: 'x' }, fingerprint: sha256(CERTIFICATE), ...over });

async function proven(event = issued(), witnesses: readonly NoteSigner[] = []): Promise<{ log: MemoryLog; proof: IssuanceProof }> {
  const log = new MemoryLog(['one', 'two', event, 'four', 'five']);
  const proof: IssuanceProof = {
    format: 'signet-issuance-proof/v1', fingerprint: sha256(CERTIFICATE), event: Buffer.from(event).toString('base64'), index: 2, inclusionProof: hexOf(await log.inclusionProof(2)), checkpoint: log.checkpoint(witnesses),
  };
  return { log, proof };
}

const faultOf = (log: MemoryLog, proof: unknown, trust: Partial<LogTrust> = {}, certificate: Buffer = CERTIFICATE): LogFault | undefined => {
  const result = verifyIssuanceProof({ certificate, proof, logKey: log.signer.vkey, ...trust });
  return 'fault' in result ? result.fault : undefined;
};

describe('a proof of issuance', () => {
  test.each([
    ['an enrollment', issued()],
    ['a renewal', issued({ kind: 'certificate.renewed' })],
    ['an event of version 1', issued({ v: 1, fingerprint: undefined, detail: { certificateSha256: sha256(CERTIFICATE) } })],
  ])('holds for %s, and says where in the log it is', async (_, event) => {
    const { log, proof } = await proven(event);
    expect(verifyIssuanceProof({ certificate: CERTIFICATE, proof, logKey: log.signer.vkey })).toMatchObject({
      logged: { event: { id: '01M7YV54J0C1R5T2E3R4J5D6F7' }, index: 2, checkpoint: { origin: 'agents.example', size: 5, cosignatures: [] } },
    });
  });

  test('asks for as many witnesses as it is told', async () => {
    const [w1, w2] = [noteSigner('w1.example', 'cosignature'), noteSigner('w2.example', 'cosignature')];
    const { log, proof } = await proven(issued(), [w1]);
    expect(faultOf(log, proof, { witnesses: [w1.vkey, w2.vkey], quorum: 1 })).toBeUndefined();
    expect(faultOf(log, proof, { witnesses: [w1.vkey, w2.vkey], quorum: 2 })).toBe('too-few-witnesses');
  });

  test('is of one certificate alone', async () => {
    const { log, proof } = await proven();
    const other = Buffer.from('another');
    expect(faultOf(log, proof, {}, other)).toBe('other-certificate');
    expect(faultOf(log, { ...proof, fingerprint: sha256(other) }, {}, other)).toBe('other-certificate');
    // A later version may not bring back where the fingerprint was.
    const old = await proven(issued({ fingerprint: undefined, detail: { certificateSha256: sha256(CERTIFICATE) } }));
    expect(faultOf(old.log, old.proof)).toBe('other-certificate');
  });

  test.each<[string, LogFault, (proof: IssuanceProof) => unknown]>([
    ['nothing', 'malformed-proof', () => undefined],
    ['another format', 'malformed-proof', (proof) => ({ ...proof, format: 'signet-issuance-proof/v2' })],
    ['a huge index', 'malformed-proof', (proof) => ({ ...proof, index: 2 ** 60 })],
    ['a negative index', 'malformed-proof', (proof) => ({ ...proof, index: -1 })],
    ['an index beyond the tree', 'index-beyond-tree', (proof) => ({ ...proof, index: 5 })],
    ['another index', 'not-included', (proof) => ({ ...proof, index: 3 })],
    ['too many hashes', 'malformed-proof', (proof) => ({ ...proof, inclusionProof: Array.from({ length: 65 }, () => proof.inclusionProof[0]) })],
    ['a hash of another length', 'malformed-proof', (proof) => ({ ...proof, inclusionProof: ['00'] })],
    ['a changed hash', 'not-included', (proof) => ({ ...proof, inclusionProof: proof.inclusionProof.map((_, i) => (i === 0 ? sha256(CERTIFICATE) : proof.inclusionProof[i])) })],
    ['octets that are no event', 'malformed-event', (proof) => ({ ...proof, event: 'AAAA' })],
    ['an event that was not logged', 'not-included', (proof) => ({ ...proof, event: Buffer.from(issued({ agent: 'another' })).toString('base64') })],
    ['an event of a version to come', 'malformed-event', (proof) => ({ ...proof, event: Buffer.from(issued({ v: 99 })).toString('base64') })],
    ['a refusal', 'other-event', (proof) => ({ ...proof, event: Buffer.from(issued({ outcome: 'failure' })).toString('base64') })],
    ['a revocation', 'other-event', (proof) => ({ ...proof, event: Buffer.from(issued({ kind: 'certificate.revoked' })).toString('base64') })],
    ['a checkpoint that is none', 'malformed-note', (proof) => ({ ...proof, checkpoint: 'none' })],
  ])('with %s: %s', async (_, fault, damage) => {
    const { log, proof } = await proven();
    expect(faultOf(log, damage(proof))).toBe(fault);
  });

  test('of another log key is not believed; keys that cannot be read are the fault of the caller', async () => {
    const { log, proof } = await proven();
    expect(faultOf(log, proof, { logKey: noteSigner('agents.example').vkey })).toBe('unknown-log-key');
    expect(() => faultOf(log, proof, { logKey: 'agents.example' })).toThrow(LogError);
    expect(() => faultOf(log, proof, { logKey: noteSigner('w', 'cosignature').vkey })).toThrow(LogError);
  });
});
