import { COMMON_ERRORS, type Operation } from '../operation.ts';
import { ROLE_PERMISSIONS, TOKEN_ROLES, type TokenRole } from '../permissions.ts';
import type { ErrorCode } from '../../core/errors.ts';

/** What the document must know of how an operation is served: columns of the route table (http/route.ts). */
export interface Serving {
  readonly on: readonly ServingDoor[];
  readonly as: keyof typeof CREDENTIALS;
  readonly rate: string;
  /** Asked in masses: only refusals tell how the caller stands. */
  readonly lean: boolean;
}
export type ServingDoor = 'api' | 'mtls' | 'status' | 'operations';

/** A way to say who asks: a security scheme of the document, and the codes it can be refused with. */
interface Credential {
  scheme: 'apiToken' | 'joinToken' | 'clientCertificate';
  errors: readonly ErrorCode[];
}

const API_TOKEN: Credential = {
  scheme: 'apiToken',
  errors: ['authentication-required', 'invalid-credential', 'credential-expired', 'credential-revoked', 'relying-party-disabled', 'permission-denied'],
};
const JOIN_TOKEN: Credential = { scheme: 'joinToken', errors: ['authentication-required'] };
const CLIENT_CERTIFICATE: Credential = {
  scheme: 'clientCertificate',
  errors: [
    'client-certificate-required', 'client-certificate-untrusted', 'relying-party-disabled', 'client-certificate-expired', 'client-certificate-revoked', 'client-certificate-held',
    'agent-suspended', 'agent-retired', 'agent-not-active', 'owner-suspended', 'instance-quarantined', 'instance-revoked',
  ],
};

/** What each kind of authentication takes: any one of these. None: nobody is asked. */
const CREDENTIALS = {
  none: [],
  admin: [API_TOKEN],
  enrollment: [JOIN_TOKEN],
  'client-certificate': [CLIENT_CERTIFICATE],
  'relying-party-or-admin': [API_TOKEN, CLIENT_CERTIFICATE],
} as const satisfies Readonly<Record<string, readonly Credential[]>>;

export const credentialsOf = ({ as }: Pick<Serving, 'as'>): readonly Credential[] => CREDENTIALS[as];

/** Roles of API tokens that may do it. */
export const tokenRolesOf = ({ permission }: Pick<Operation, 'permission'>): TokenRole[] => TOKEN_ROLES.filter((role) => ROLE_PERMISSIONS[role].has(permission));

const BODY_ERRORS: readonly ErrorCode[] = ['body-too-large', 'unsupported-media-type'];
const JSON_ERRORS: readonly ErrorCode[] = ['malformed-json', 'json-too-deep'];
const IDEMPOTENCY_ERRORS: readonly ErrorCode[] = ['idempotency-key-invalid', 'idempotency-key-reused', 'idempotency-in-progress'];

/** What an address without an operation is answered. */
const OF_NO_OPERATION: readonly ErrorCode[] = ['not-found', 'method-not-allowed'];

/** Where a client certificate is looked for, one in a header is believed or refused. */
const PROXY_ERRORS: readonly ErrorCode[] = ['proxy-not-trusted'];

/** Whoever watches over the service gets to see it when it is flooded: the operations door has no limits. */
export const isLimited = ({ on }: Pick<Serving, 'on'>): boolean => on.some((door) => door !== 'operations');

/** Every code the operation can answer, each once: its own, those of its kind of request, those of its credential, those of any. */
export function errorsOf(operation: Operation, serving: Pick<Serving, 'as' | 'on'>): ErrorCode[] {
  const { consumes, creates, errors } = operation;
  return [
    ...new Set<ErrorCode>([
      ...errors,
      ...credentialsOf(serving).flatMap((credential) => credential.errors),
      ...(consumes.length > 0 ? BODY_ERRORS : []),
      ...(consumes.includes('application/json') ? JSON_ERRORS : []),
      ...(creates ? IDEMPOTENCY_ERRORS : []),
      ...(serving.on.includes('mtls') ? PROXY_ERRORS : []),
      ...COMMON_ERRORS.filter((code) => !OF_NO_OPERATION.includes(code) && (code !== 'rate-limited' || isLimited(serving))),
    ]),
  ];
}
