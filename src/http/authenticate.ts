import { createHash } from 'node:crypto';
import { narrowing, narrowingOfGrants } from '../api/permissions.ts';
import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { adminTokenState, touchAdminToken, type PresentedToken } from '../db/admin-tokens.ts';
import type { Credential, Origin } from '../audit/events.ts';
import { authenticateClient } from '../issuance/client-certificate.ts';
import { assertEnabled, authenticatePinned } from '../relying-parties/authenticate.ts';
import type { Caller } from './handler.ts';

/**
 * How a route learns who asks.
 * `enrollment` and `client-certificate` credentials are judged by the use case itself, together with what is asked: here they only must be there.
 * `relying-party-or-admin` is an API token, or on the mutual TLS door a certificate judged here: of a relying party, or of an agent. Where config `statusAccess`
 * is `open`, it is also nothing.
 */
export const AUTHENTICATIONS = ['none', 'admin', 'enrollment', 'client-certificate', 'relying-party-or-admin'] as const;
export type Authentication = (typeof AUTHENTICATIONS)[number];

/** Uses of a token are noted at most this often by one process. */
const TOUCH_INTERVAL_MS = 60_000;
const TOUCHED_ENTRIES = 1_000;

export const ANONYMOUS: Caller = { kind: 'anonymous', id: 'anonymous', role: 'anonymous' };
/** Somebody with a client certificate that the use case will judge. */
const UNJUDGED_AGENT: Caller = { kind: 'agent', id: 'unjudged', role: 'agent' };

/** Whoever asks for status without a credential where that is open to all. */
export const STATUS_READER: Caller = { kind: 'anonymous', id: 'anonymous', role: 'status-reader' };

export interface Authenticator {
  /**
   * Who holds the secret of a token learns what became of it; to everybody else a token that ended and one that never was are the same, in words and in work.
   * @throws SignetError `authentication-required`, `invalid-credential`, `credential-expired`, `credential-revoked`, `relying-party-disabled`
   */
  byToken(authorization: string | undefined, now: Date): Promise<Caller>;
}

/** Judges API tokens. */
export function createAuthenticator(ctx: Pick<Context, 'db' | 'adminTokens' | 'clock' | 'log'>): Authenticator {
  const touched = new Map<string, number>();

  function noteUse(id: string, now: Date): void {
    const nowMs = ctx.clock.monotonicMs();
    const last = touched.get(id);
    if (last !== undefined && nowMs - last < TOUCH_INTERVAL_MS) return;
    if (touched.size >= TOUCHED_ENTRIES) touched.clear();
    touched.set(id, nowMs);
    touchAdminToken(ctx.db, id, now).catch((error: unknown) => ctx.log.warn({ err: error, adminToken: id }, 'could not note the use of an API token'));
  }

  return {
    async byToken(authorization, now) {
      const credential = bearer(authorization);
      if (credential === undefined) throw new SignetError('authentication-required', 'this needs an API token: Authorization: Bearer sga_…');
      const token = await ctx.adminTokens.find(credential);
      if (!token) throw new SignetError('invalid-credential', 'the API token is not known');
      assertActive(token, now);
      if (token.relyingParty) assertEnabled(token.relyingParty);
      noteUse(token.id, now);
      return callerOf(token);
    },
  };
}

function assertActive(token: PresentedToken, now: Date): void {
  const which = `the API token ${token.name} (${token.id})`;
  switch (adminTokenState(token, now)) {
    case 'active':
      return;
    case 'expired':
      throw new SignetError('credential-expired', `${which} ended at ${token.expiresAt?.toISOString() ?? ''}${token.successorId === null ? '' : `: it was rotated to ${token.successorId}`}`);
    case 'revoked':
      throw new SignetError('credential-revoked', `${which} was revoked at ${token.revokedAt?.toISOString() ?? ''}`);
  }
}

function callerOf({ id, role, scopes, relyingParty }: PresentedToken): Caller {
  const caller = { kind: 'admin', id, role } as const;
  if (relyingParty) return { ...caller, relyingParty, narrowedTo: narrowingOfGrants(relyingParty.mayAsk) };
  // Made before there were registrations: it goes on as it was, and gets nothing new.
  const narrowedTo = role === 'relying-party' && scopes === null ? narrowingOfGrants(['status', 'identity']) : narrowing(scopes);
  return narrowedTo ? { ...caller, narrowedTo } : caller;
}

/** The token of `Authorization: Bearer` (RFC 6750 §2.1). */
export function bearer(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^Bearer +([\x21-\x7e]{1,512}) *$/i.exec(authorization)?.[1];
}

const JOIN_TOKEN = /^sgj_([0-7][0-9A-HJKMNP-TV-Z]{25})_[A-Za-z0-9_-]{43}$/;

/** The caller of an enrollment: its join token comes as bearer token or in the body. @throws SignetError `authentication-required`, `invalid-request`, `join-token-unknown` */
export function enrollmentCaller(authorization: string | undefined, inBody: string | undefined): Caller {
  const inHeader = bearer(authorization);
  if (inHeader !== undefined && inBody !== undefined && inHeader !== inBody) {
    throw new SignetError('invalid-request', 'the Authorization header and joinToken carry different tokens; send one');
  }
  const joinToken = inHeader ?? inBody;
  if (joinToken === undefined) throw new SignetError('authentication-required', 'this needs a join token: Authorization: Bearer sgj_…, or joinToken in the body');
  const [, id] = JOIN_TOKEN.exec(joinToken) ?? [];
  if (id === undefined) throw new SignetError('join-token-unknown', 'this is not a join token');
  return { kind: 'enrollment', id, role: 'enrollment', joinToken };
}

/** A caller of the mutual TLS door whose certificate the use case judges. @throws SignetError `client-certificate-required` */
export function unjudgedClient(peerCertificate: Buffer | undefined): Caller {
  if (peerCertificate === undefined) throw certificateRequired();
  return UNJUDGED_AGENT;
}

/**
 * A caller of the mutual TLS door, judged now, on this very request (DESIGN §4): a relying party whose certificate is pinned, else an agent.
 * @throws SignetError client-certificate-*, agent-*, instance-*, `relying-party-disabled`
 */
export async function judgedClient(ctx: Context, origin: Omit<Origin, 'actor'>, peerCertificate: Buffer | undefined, now: Date): Promise<Caller> {
  if (peerCertificate === undefined) throw certificateRequired();
  const holder = await authenticatePinned(ctx, peerCertificate, now);
  if (holder) {
    const { relyingPartyId: id, mayAsk } = holder;
    return { kind: 'relying-party', id, role: 'relying-party', relyingParty: { id, mayAsk }, pinned: peerCertificate, narrowedTo: narrowingOfGrants(mayAsk) };
  }
  const client = await authenticateClient(ctx, { ...origin, actor: actorOf(UNJUDGED_AGENT) }, peerCertificate, now, 'request');
  return { kind: 'agent', id: client.agentId, role: 'agent', client };
}

const certificateRequired = () => new SignetError('client-certificate-required', 'this door needs the certificate of an enrolled instance, or of a relying party');

/** Who acts, for whom and by what credential, as audit events of this caller say it. */
export function originOfCaller(caller: Caller): Pick<Origin, 'actor' | 'onBehalfOf' | 'credential'> {
  const onBehalfOf = caller.kind === 'admin' && caller.relyingParty ? { kind: 'relying-party', id: caller.relyingParty.id } as const : undefined;
  return { actor: actorOf(caller), onBehalfOf, credential: credentialOf(caller) };
}

/** Nothing is said of a credential that the use case has yet to judge: it says so itself. */
function credentialOf({ kind, id, role, client, pinned }: Caller): Credential | undefined {
  if (kind === 'admin') return { kind: 'api-token', id, role };
  if (client) return { kind: 'certificate', serial: client.serial.toString('hex') };
  return pinned && { kind: 'pinned-certificate', fingerprint: createHash('sha256').update(pinned).digest('hex') };
}

function actorOf(caller: Caller): Origin['actor'] {
  switch (caller.kind) {
    case 'admin':
    case 'agent':
    case 'relying-party':
      return { kind: caller.kind, id: caller.id };
    case 'enrollment':
      return { kind: 'join-token', id: caller.id };
    case 'anonymous':
      return { kind: 'system', id: 'anonymous' };
  }
}
