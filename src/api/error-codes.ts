import { ERROR_CODES, type ErrorCode } from '../core/errors.ts';

/** What a code means on the wire: HTTP status, a fixed title (RFC 9457 §3.1.4), and what the caller does next. */
export interface ErrorMeaning {
  status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 410 | 412 | 413 | 415 | 422 | 429 | 431 | 500 | 503 | 507;
  title: string;
  next: string;
}

/** Every code of core/errors.ts, exactly once. docs/errors.md is generated from this table. */
export const ERROR_TABLE: Readonly<Record<ErrorCode, ErrorMeaning>> = {
  // the request itself
  'invalid-request': { status: 400, title: 'The request is not valid', next: 'Correct the members named in `fields` and send it again.' },
  'malformed-json': { status: 400, title: 'The body is not JSON', next: 'Send one JSON value in UTF-8 (RFC 8259).' },
  'json-too-deep': { status: 400, title: 'The JSON is nested too deeply', next: 'Send a flatter document; no request of this interface needs deep nesting.' },
  'body-too-large': { status: 413, title: 'The body is too large', next: 'Send a smaller body; the limit is in `detail`.' },
  'unsupported-media-type': { status: 415, title: 'The content type is not supported here', next: 'Set Content-Type to one of the types named in `detail`.' },
  'not-found': { status: 404, title: 'There is nothing at this address', next: 'Check the path and the listener: some paths are served only by the mutual TLS or the status listener.' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here', next: 'Use one of the methods in the Allow header.' },
  'headers-too-many': { status: 431, title: 'The request has too many header fields', next: 'Leave out header fields; the limit is in `detail`.' },
  'cursor-invalid': { status: 400, title: 'The cursor is not one of ours', next: 'Start the listing again without a cursor.' },
  'cursor-mismatch': { status: 400, title: 'The cursor belongs to another query', next: 'Send the filters the cursor was made with, or start again without a cursor.' },
  'idempotency-key-invalid': { status: 400, title: 'The Idempotency-Key is not valid', next: 'Send 1 to 255 visible ASCII characters, for instance a UUID.' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key was used for another request', next: 'Use a new key for a new request; repeat a request only byte for byte.' },
  'idempotency-in-progress': { status: 409, title: 'A request with this Idempotency-Key is still running', next: 'Wait and send the same request again.' },
  // who asks
  'authentication-required': { status: 401, title: 'Authentication is required', next: 'Send `Authorization: Bearer <token>`.' },
  'invalid-credential': { status: 401, title: 'The credential is not accepted', next: 'Send the whole token as it was made. If it is lost, have another one made.' },
  'credential-expired': { status: 401, title: 'The credential has expired', next: 'Have another one made (`signet admin-token create`); rotate it in time next time. If no admin is left: `signet admin recover` on the machine itself.' },
  'credential-revoked': { status: 401, title: 'The credential was revoked', next: 'Ask an admin why, and for another one.' },
  'permission-denied': { status: 403, title: 'The credential does not permit this', next: 'Use a credential that has the permissions named in `detail`: its role must have them, and its scopes must not leave them out.' },
  'last-admin-token': { status: 409, title: 'It is the last usable admin token', next: 'Make another API token of role admin without scopes first, and revoke this one with it.' },
  'admin-token-not-found': { status: 404, title: 'There is no such API token', next: 'Check the token id; the list of API tokens has those that are known.' },
  'admin-token-state-conflict': { status: 409, title: 'The state of the token does not allow this', next: 'Read the token. One that was rotated has a successor; one that has expired or was revoked is replaced by a new one.' },
  'client-certificate-required': { status: 401, title: 'A client certificate is required', next: 'Connect to the mutual TLS listener with the certificate and key of an enrolled instance.' },
  'client-certificate-untrusted': { status: 401, title: 'The client certificate is not one of ours', next: 'Enroll with a join token to get a certificate of this authority.' },
  'client-certificate-expired': { status: 401, title: 'The client certificate has expired', next: 'Enroll again with a new join token; renew earlier next time (see `renewal` of the certificate answer).' },
  'client-certificate-revoked': { status: 403, title: 'The client certificate is revoked', next: 'Ask the owner why; enroll again with a new join token when it is allowed.' },
  'client-certificate-held': { status: 403, title: 'The client certificate is on hold', next: 'Ask an operator to resume the agent or release the instance.' },
  'proxy-not-trusted': { status: 403, title: 'A certificate in a header is not believed from this address', next: 'Show the certificate in the TLS handshake. If this is your proxy, have an operator name its address in SIGNET_TRUSTED_PROXIES (docs/proxies.md).' },
  'proxy-header-invalid': { status: 400, title: 'A header of the proxy cannot be read', next: 'Correct the configuration of the proxy: docs/proxies.md shows what it must send.' },
  // relying parties
  'relying-party-not-found': { status: 404, title: 'There is no such relying party', next: 'Check the id of the relying party, and of its certificate.' },
  'relying-party-name-taken': { status: 409, title: 'The name of the relying party is taken', next: 'Choose another name; a disabled relying party keeps its name.' },
  'relying-party-changed': { status: 412, title: 'The relying party was changed meanwhile', next: 'Read it again and decide anew.' },
  'relying-party-disabled': { status: 403, title: 'The relying party is disabled', next: 'Ask an operator why, and to enable it.' },
  'relying-party-full': { status: 409, title: 'The relying party has as many credentials as it may have', next: 'Remove or revoke one that is not needed, or raise the limit named in `detail`.' },
  'relying-party-certificate-taken': { status: 409, title: 'The certificate is pinned already', next: 'Give every relying party a certificate of its own.' },
  'relying-party-certificate-refused': { status: 422, title: 'The certificate cannot be pinned', next: 'Read `detail`; send an X.509 v3 certificate with a current key that is valid now and was not issued here.' },
  // the live feed
  'feed-cursor-ahead': { status: 409, title: 'The feed has no such number yet', next: 'The number comes from another Signet, or from one whose database was set back: take GET /v1/revocations/snapshot and follow from its number.' },
  'feed-cursor-expired': { status: 410, title: 'The feed is no longer kept from this number on', next: 'Take GET /v1/revocations/snapshot and follow from its number.' },
  'feed-other-world': { status: 409, title: 'The number belongs to another cluster or epoch', next: 'Trust nothing that was applied from it: take GET /v1/revocations/snapshot and follow from its number, cluster and epoch.' },
  'feed-full': { status: 503, title: 'There are as many streams as there may be', next: 'Try again after Retry-After, at another replica if there is one; close streams that are not needed.' },
  'feed-unavailable': { status: 503, title: 'The feed cannot be vouched for now', next: 'Try again after Retry-After. Until then nothing new is known: deny.' },
  'revocation-not-found': { status: 404, title: 'There is no such event in the feed', next: 'Check the number: events older than the retention are gone.' },
  'enforcement-point-not-found': { status: 404, title: 'There is no such enforcement point', next: 'An enforcement point belongs to the relying party that registered it. Register again.' },
  'enforcement-point-full': { status: 409, title: 'The relying party has as many enforcement points as it may', next: 'Reuse names instead of making new ones at each start, or have the limit raised.' },
  'acknowledgement-not-sent': { status: 409, title: 'The number was never sent', next: 'Acknowledge only what came over the stream or in a snapshot.' },
  // certificate signing requests
  'csr-malformed': { status: 400, title: 'The certificate signing request cannot be read', next: 'Send one PKCS#10 request (RFC 2986) in DER or PEM, made for instance by `openssl req -new`.' },
  'csr-too-large': { status: 413, title: 'The certificate signing request is too large', next: 'Leave out what is not needed: a key, a signature and the names are enough.' },
  'csr-signature-invalid': { status: 400, title: 'The signature of the request does not verify', next: 'Sign the request with the private key that belongs to the public key in it.' },
  'csr-extension-unsupported': { status: 422, title: 'The request asks for an extension that is not supported', next: 'Leave out the extension named in `detail`.' },
  'csr-attribute-duplicated': { status: 400, title: 'The request carries an attribute twice', next: 'Send at most one extensionRequest attribute.' },
  'csr-ca-requested': { status: 422, title: 'The request asks for a CA certificate', next: 'Leave out basicConstraints or ask with cA=FALSE.' },
  'key-type-not-allowed': { status: 422, title: 'The key type is not allowed', next: 'Make a P-256, P-384, Ed25519 or RSA key (2048 to 4096 bits) that the profile allows.' },
  'key-weak': { status: 422, title: 'The key is weak', next: 'Make a new key with a current tool.' },
  'key-in-use': { status: 409, title: 'The key belongs to another agent', next: 'Make a key pair of your own for every agent.' },
  'key-not-fresh': { status: 409, title: 'The key was certified before', next: 'Make a new key pair for every enrollment and every renewal.' },
  'key-blocked': { status: 403, title: 'The key is blocked', next: 'A certificate with this key was revoked: make a new key pair.' },
  'names-not-granted': { status: 403, title: 'The names asked for are not granted', next: 'Ask only for the names in `granted`, or have them added to the registration.' },
  'ttl-not-granted': { status: 403, title: 'The lifetime asked for is not granted', next: 'Ask for at most the seconds named in `detail`, or leave ttlSeconds out.' },
  'profile-not-found': { status: 422, title: 'The profile does not exist', next: 'Name one of the configured profiles.' },
  // join tokens
  'join-token-unknown': { status: 401, title: 'The join token is not known', next: 'Have a new join token made for the agent.' },
  'join-token-used': { status: 409, title: 'The join token was used', next: 'A join token works once: have a new one made. If it was not you who used it, tell an operator.' },
  'join-token-expired': { status: 401, title: 'The join token has expired', next: 'Have a new join token made and use it in time.' },
  'join-token-wrong-agent': { status: 403, title: 'The join token belongs to another agent', next: 'Use the join token made for this agent, or leave agentId out.' },
  'join-token-wrong-network': { status: 403, title: 'The join token is not valid from this network', next: 'Enroll from an address the token allows, or have a token made for this network.' },
  'join-token-wrong-key': { status: 403, title: 'The join token is bound to another key', next: 'Send the request with the key whose hash the token was made for.' },
  // agents and instances
  'agent-not-found': { status: 404, title: 'There is no such agent', next: 'Check the agent id.' },
  'agent-name-taken': { status: 409, title: 'The agent name is taken', next: 'Choose another name; a name is free again when its agent is retired.' },
  'agent-not-active': { status: 409, title: 'The agent is not active', next: 'Have an operator activate the agent.' },
  'agent-suspended': { status: 403, title: 'The agent is suspended', next: 'Have an operator resume the agent.' },
  'agent-retired': { status: 410, title: 'The agent is retired', next: 'Register a new agent: a retired one never comes back.' },
  'agent-state-conflict': { status: 409, title: 'The state of the agent does not allow this', next: 'Read the agent and its state first.' },
  'agent-changed': { status: 412, title: 'The agent was changed meanwhile', next: 'Read the agent again and repeat the change with its new version in If-Match.' },
  'owner-required': { status: 422, title: 'An owner is required', next: 'Name the e-mail address of the person who answers for the agent.' },
  'owner-suspended': { status: 403, title: 'The owner is suspended', next: 'Have the owner reinstated or name another one.' },
  'dns-name-reserved': { status: 422, title: 'The DNS name is reserved', next: 'Choose a name that is not used by Signet itself.' },
  'instance-not-found': { status: 404, title: 'There is no such instance', next: 'Check the instance id.' },
  'instance-quarantined': { status: 403, title: 'The instance is quarantined', next: 'A copied key is suspected: an operator releases or revokes the instance.' },
  'instance-revoked': { status: 403, title: 'The instance is revoked', next: 'Enroll a new instance with a new join token.' },
  'instance-state-conflict': { status: 409, title: 'The state of the instance does not allow this', next: 'Read the instance and its state first.' },
  'finding-not-found': { status: 404, title: 'There is no such finding', next: 'Check the finding id; findings are deleted some time after they were resolved.' },
  // issuing, renewing, revoking
  'issuance-stopped': { status: 403, title: 'Issuing is stopped', next: 'A kill stopped it for this profile, issuer or everything: ask an admin, who can resume the kill.' },
  'issuer-unavailable': { status: 503, title: 'No issuer can sign this now', next: 'Try again after Retry-After; if it stays, an operator must rotate the issuer.' },
  'certificate-superseded': { status: 409, title: 'The certificate was renewed already', next: 'Use its successor. If you have none, the key may have been copied: tell an operator.' },
  'certificate-not-found': { status: 404, title: 'There is no such certificate', next: 'Check the serial.' },
  'serial-malformed': { status: 400, title: 'The serial is not well formed', next: 'Send the serial as 40 hexadecimal digits.' },
  'reason-not-allowed': { status: 422, title: 'The revocation reason is not allowed', next: 'Use one of the reasons named in `detail` (RFC 5280 §5.3.1).' },
  'hold-conflict': { status: 409, title: 'The hold cannot be changed like this', next: 'Read the status of the certificate: a suspension or a quarantine is lifted on the agent or the instance.' },
  'authority-not-found': { status: 404, title: 'There is no such authority', next: 'Check the authority id.' },
  'authority-state-conflict': { status: 409, title: 'The state of the authority does not allow this', next: 'Read the authorities first; a rotation has its own order: prepare, then activate.' },
  // the kill switch
  'selector-invalid': { status: 422, title: 'The selector does not say what is meant', next: 'Send exactly one of serial, instanceId, agentId, owner, labels (at least one), issuerId, profile, or `everything: true`.' },
  'kill-effect-not-allowed': { status: 422, title: 'The selector cannot have this effect', next: 'Use one of the effects named in `detail`.' },
  'kill-confirmation-required': { status: 409, title: 'So wide a kill must be confirmed', next: 'Send the same with `dryRun: true`, look at what it says, and send its `confirm` with the kill.' },
  'kill-not-found': { status: 404, title: 'There is no such kill', next: 'Check the kill id; the list of kills has those that are known.' },
  'kill-state-conflict': { status: 409, title: 'The kill cannot be taken back', next: 'Read the kill: what was revoked or retired is so for ever.' },
  'covered-by-kill': { status: 409, title: 'A kill covers it', next: 'Have an admin resume the kill named in `detail`: what it suspended comes back with it.' },
  'owner-not-found': { status: 404, title: 'There is no such owner', next: 'Check the e-mail address: an owner is known once an agent or a relying party was registered for it.' },
  'certificate-expired': { status: 409, title: 'The certificate has expired', next: 'Nobody accepts it any more. Revoke it if its key must be blocked.' },
  // the log
  'event-not-found': { status: 404, title: 'There is no such event in the log', next: 'Check the id or the number.' },
  'event-purged': { status: 410, title: 'The event was purged', next: 'Its hash is kept: GET /v1/audit/{number}/proof still proves that it was there, and evidence taken before still holds.' },
  'event-not-logged': { status: 503, title: 'The event is not in a signed tree yet', next: 'Try again after Retry-After: a checkpoint is made each second in which something happened. Without that header the log has stopped, and an operator must act.' },
  'log-size-invalid': { status: 400, title: 'The log has no tree of this size, or it does not hold what is asked for', next: 'Ask with a size from the number of the event up to that of the newest checkpoint (GET /tlog/checkpoint), the smaller one first.' },
  'log-unavailable': { status: 503, title: 'Nothing of the log is signed yet', next: 'Try again after Retry-After; the first checkpoint is made within seconds of the first start.' },
  // the service
  internal: { status: 500, title: 'Something went wrong on our side', next: 'Nothing was handed out. Try again; if it stays, give an operator the request id.' },
  'database-unavailable': { status: 503, title: 'The database cannot be reached', next: 'Nothing was changed unless it was acknowledged. Try again after Retry-After.' },
  'storage-full': { status: 507, title: 'The storage is full', next: 'An operator must make room; then try again.' },
  overloaded: { status: 503, title: 'Too much work is waiting', next: 'Try again after Retry-After.' },
  'rate-limited': { status: 429, title: 'Too many requests', next: 'Wait as long as Retry-After says and send it again; spread what is not urgent. Which limit it was is in `detail`, and what it allows in the RateLimit-Policy header. A wait after wrong credentials has no such header: correct the token first, for each wrong one makes the wait longer.' },
};

/** docs/errors.md: every code with its status, title and what to do next. The anchors are what the `type` of a problem points to. */
export function documentErrors(): string {
  const sections = ERROR_CODES.map((code) => {
    const { status, title, next } = ERROR_TABLE[code];
    return `## ${code}\n\n\`${status}\` · ${title}.\n\n${next}\n`;
  });
  return `${PREAMBLE}\n${sections.join('\n')}`;
}

/** Members of a problem, and what they mean. */
export const PROBLEM_MEMBERS: readonly (readonly [name: string, meaning: string])[] = [
  ['type', 'address of the section of this page that explains the code'],
  ['code', 'the stable code: what programs should look at'],
  ['title', 'what the code means, the same for every occurrence'],
  ['status', 'the HTTP status'],
  ['detail', 'what was wrong this time (never for `internal`)'],
  ['requestId', 'also in the `request-id` header; find it in the log and the audit log'],
  ['next', 'what to do next'],
  ['fields', 'faults by member, with a JSON pointer (RFC 6901) each'],
  ['granted', 'the names that would have been granted'],
];

const PREAMBLE = `# Errors

Every error answer is \`application/problem+json\` (RFC 9457) with these members:

| member | meaning |
|---|---|
${PROBLEM_MEMBERS.map(([name, meaning]) => `| \`${name}\` | ${meaning} |`).join('\n')}

A \`Retry-After\` header says when a retry makes sense. This page is generated from \`src/api/error-codes.ts\`.
`;
