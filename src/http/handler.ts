import type { ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { Operation } from '../api/operation.ts';
import type { Permission, RelyingPartyGrant, Role } from '../api/permissions.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import type { Tx } from '../db/client.ts';
import type { ClientIdentity } from '../issuance/client-certificate.ts';

/** Who asks, as judged by http/authenticate.ts. */
export interface Caller {
  kind: 'admin' | 'agent' | 'enrollment' | 'relying-party' | 'anonymous';
  /** API token id, agent id, join token id, id of a relying party that shows a certificate, or `anonymous`. Scope of idempotency keys together with `kind`. */
  id: string;
  role: Role;
  /** What scopes or a registration leave of the role; absent: all of it. */
  narrowedTo?: ReadonlySet<Permission>;
  /** The relying party it belongs to, by token or by certificate. */
  relyingParty?: { id: string; mayAsk: readonly RelyingPartyGrant[] };
  /** The certificate of a mutual TLS caller, already judged. */
  client?: ClientIdentity;
  /** DER of the pinned certificate of a relying party, already judged. */
  pinned?: Buffer;
  /** The join token of an enrollment, not yet judged: that is the use case's. */
  joinToken?: string;
}

/** What /readyz needs to know of this process beyond the context. */
export interface ProcessState {
  /** True from the moment the process was told to stop. */
  readonly draining: boolean;
  /** What an operator should look at; loud, but no reason to be unready. */
  readonly warnings: readonly string[];
}

/** What this interface says of itself; each is made once, when it is first asked for. */
export interface Documents {
  openApi(): Answer;
  docs(): Answer;
  errors(as: 'html' | 'markdown'): Answer;
}

/** One request, free of Express: parsed, limited, authenticated and authorised. `P`, `Q`, `B` as in the operation's schemas. */
export interface ApiRequest<P = unknown, Q = unknown, B = unknown> {
  params: P;
  query: Q;
  /** Parsed JSON body; undefined for other content types. */
  body: B;
  rawBody: Buffer;
  /** Media type without parameters, lower case. */
  contentType: string | undefined;
  accept: string | undefined;
  /** Of the Last-Event-ID header: how far a reader of server-sent events came. */
  lastEventId: string | undefined;
  /** The version in If-Match, for conditional changes. */
  ifMatch: number | undefined;
  caller: Caller;
  origin: Origin;
  /** Source address of the connection (IPv4-mapped IPv6 shown as IPv4). */
  source: string;
  requestId: string;
  /** The one time of this request. */
  now: Date;
  idempotencyKey: string | undefined;
  /** SHA-256 over method, path with query, content type and body; there whenever `idempotencyKey` is. */
  requestHash: Buffer | undefined;
  /** DER of the certificate the TLS client showed, if any. */
  peerCertificate: Buffer | undefined;
  process: ProcessState;
  documents: Documents;
}

/** What a handler answers: JSON, bytes, what is read as it is sent, or nothing. */
export interface Answer {
  status: number;
  json?: unknown;
  bytes?: Uint8Array;
  /** Writes the body, for as long as that takes, and ends it. Not called for HEAD. */
  stream?: (res: ServerResponse) => void;
  /** Such a body has no end of its own, and whoever writes it looks after readers that take nothing: config `responseTimeoutMs` is not for it. */
  endless?: boolean;
  /** A long body that is read as the client takes it. */
  content?: { length: number; read(): AsyncIterable<Uint8Array> };
  contentType?: string;
  /** Names in lower case. */
  headers?: Record<string, string>;
  /** Holds a secret: sealed in the idempotency store, and kept there only minutes. */
  secret?: boolean;
}

/** Parse, authenticate and authorise are done: call the use case, render. */
export type Handler<P = unknown, Q = unknown, B = unknown> = (ctx: Context, request: ApiRequest<P, Q, B>) => Promise<Answer> | Answer;

/** A handler whose use case runs inside the transaction that also keeps its answer under the Idempotency-Key. */
export type CreatingHandler<P = unknown, Q = unknown, B = unknown> = (ctx: Context, request: ApiRequest<P, Q, B>, tx: Tx) => Promise<Answer>;

/** The handler types that fit an operation. */
export type HandlerOf<O extends Operation> = Handler<z.output<O['params']>, z.output<O['query']>, z.output<O['body']>>;
export type CreatingHandlerOf<O extends Operation> = CreatingHandler<z.output<O['params']>, z.output<O['query']>, z.output<O['body']>>;
