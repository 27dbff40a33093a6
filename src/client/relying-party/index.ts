/** What a service uses to judge who calls it, and whom it calls (docs/sdk-relying-party.md). */
export { createRelyingParty, type RelyingParty } from './relying-party.ts';
export type { RelyingPartyOptions, RelyingPartyState, TrustBundleSource } from './options.ts';
export { PeerRefused, REFUSALS, type Allowed, type Decision, type Peer, type Refused, type RefusalCode, type StatusSource } from './decision.ts';
export type { ClientOptions, Connector, ConnectorOptions, FetchDispatcher } from './outgoing.ts';
export type { AnyRequest } from './server.ts';
