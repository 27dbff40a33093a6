import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import { authenticateClient } from '../../src/issuance/client-certificate.ts';
import type { PresentedCertificate } from '../../src/db/presented.ts';
import { OPERATOR } from '../support/agents.ts';
import { openTestAuthority, type TestAuthority } from '../support/authority.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { issueLeaf } from '../support/leaves.ts';

let database: TestDatabase;
let authority: TestAuthority;
beforeAll(async () => {
  database = await testDatabase();
  authority = await openTestAuthority(database);
});
afterAll(async () => {
  await authority.authorities.close();
  await database.drop();
});

test('a certificate from a replica whose clock is ahead is believed within clockSkewSeconds, and not beyond', async () => {
  const { der } = await issueLeaf(authority, 1);
  const issuedMs = authority.clock.now().getTime();
  const stored = { instanceState: 'active', agentState: 'active', notAfter: new Date(issuedMs + 3_600_000), displaced: false, revokedAt: null, heldAt: null } as PresentedCertificate;
  const fingerprint = createHash('sha256').update(der).digest();
  const ctx = { ...authority, presentations: { submit: (shown: { fingerprint: Buffer }) => Promise.resolve(shown.fingerprint.equals(fingerprint) ? stored : undefined) } } as unknown as Context;
  // notBefore lies leafBackdateSeconds (60) before the issue.
  const at = (secondsBeforeIssue: number) => authenticateClient(ctx, OPERATOR, der, new Date(issuedMs - secondsBeforeIssue * 1000), 'request');
  expect(await at(60)).toBe(stored);
  expect(await at(60 + authority.config.clockSkewSeconds)).toBe(stored);
  await expect(at(61 + authority.config.clockSkewSeconds)).rejects.toMatchObject({ code: 'client-certificate-untrusted' });
});

test('a certificate of an issuer that was revoked does not authenticate, whatever is recorded of itself', async () => {
  const { der } = await issueLeaf(authority, 2);
  const now = authority.clock.now();
  const stored = { instanceState: 'active', agentState: 'active', notAfter: new Date(now.getTime() + 3_600_000), displaced: false, revokedAt: null, heldAt: null } as PresentedCertificate;
  const presentations = { submit: () => Promise.resolve(stored) };
  const ask = (authorities: unknown) => authenticateClient({ ...authority, authorities, presentations } as unknown as Context, OPERATOR, der, now, 'request');
  expect(await ask(authority.authorities)).toBe(stored);
  const { issuing, ...snapshot } = authority.authorities.snapshot();
  const revoked = { snapshot: () => ({ ...snapshot, issuing: issuing.map((issuer) => ({ ...issuer, revokedAt: now })) }) };
  await expect(ask(revoked)).rejects.toMatchObject({ code: 'client-certificate-untrusted' });
});
