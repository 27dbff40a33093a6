import { expect, test } from '@jest/globals';
import { alone, type Siblings } from '../../../src/core/siblings.ts';
import { announce } from '../../../src/revocation/announce.ts';
import { createRevocationSignals } from '../../../src/revocation/signals.ts';

const certificate = (i: number) => ({ serial: Buffer.from([i >> 8, i & 255]), issuerId: 'i', shard: 0 });

function listening() {
  const said: string[] = [];
  const signals = createRevocationSignals();
  signals.subscribe((changed) => said.push(`changed ${changed.length}`));
  signals.onCommitted(() => said.push('committed'));
  const siblings: Siblings = { ...alone, ask: (_topic, message) => { said.push(`asked ${(message as unknown[]).length}`); return Promise.resolve([]); } };
  return { ctx: { signals, siblings }, said };
}

test('whoever follows the feed here is told before anybody is waited for; the workers by the thousand', async () => {
  const { ctx, said } = listening();
  await announce(ctx, Array.from({ length: 2_001 }, (_, i) => certificate(i)));
  expect(said).toEqual(['committed', 'changed 2001', 'asked 1000', 'asked 1000', 'asked 1']);
});

test('a change of states alone has no certificate, and is in the feed all the same', async () => {
  const { ctx, said } = listening();
  await announce(ctx, []);
  expect(said).toEqual(['committed']);
});
