import * as adminTokens from '../api/admin-tokens.ts';
import { ADMIN_ROLES, SCOPES, TOKEN_ROLES } from '../api/permissions.ts';
import { onOne } from './commands-agents.ts';
import { lister } from './commands-certificates.ts';
import { present, required, text, texts, UsageError, wholeNumber, type Command } from './command.ts';
import { show } from './output.ts';
import { createSecret, SECRET_HELP, SECRET_OPTIONS } from './secret-answer.ts';

const string = { type: 'string' } as const;
const many = { type: 'string', multiple: true } as const;
const boolean = { type: 'boolean' } as const;

/** Columns of lists of tokens. */
export const TOKEN_COLUMNS = ['id', 'name', 'role', 'state', 'scopes', 'expiresAt', 'lastUsedAt'];

export const ADMIN_COMMANDS: Command[] = [
  {
    name: 'admin-token create',
    usage: '--name <name> --role <role> [--scope <permission>]... [--ttl <seconds>] [--out <file>]',
    summary: 'Make an API token; it is shown on a terminal or written to a 0600 file, once',
    example: 'signet admin-token create --name ci --role operator --scope agents:write --scope join-tokens:create --ttl 2592000 --out ./ci-token',
    options: { name: string, role: string, scope: many, ttl: string, ...SECRET_OPTIONS },
    help: {
      name: 'what it is for: lower-case letters, digits, dashes', role: ADMIN_ROLES.join(', '), scope: `narrows the token to this permission of its role, may be repeated: ${SCOPES.join(', ')}`,
      ttl: 'life, seconds; without it as the server is configured (90 days)', ...SECRET_HELP,
    },
    async run(cli, input) {
      const body = present({ name: required(input, 'name'), role: required(input, 'role'), scopes: texts(input, 'scope'), ttlSeconds: wholeNumber(input, 'ttl') });
      await createSecret(cli, input, 'an API token', (client) => client.call(adminTokens.createAdminToken, { body }));
    },
  },
  {
    name: 'admin-token list',
    usage: '[filters]',
    summary: 'List API tokens, never their secrets',
    example: 'signet admin-token list --state active --unused-since 2026-08-01T00:00:00Z',
    options: { cursor: string, limit: string, state: string, role: string, name: string, 'relying-party': string, 'unused-since': string, 'expires-before': string },
    help: { state: adminTokens.ADMIN_TOKEN_STATES.join(', '), role: TOKEN_ROLES.join(', '), 'unused-since': 'neither used nor made since this time', 'expires-before': 'ends before this time' },
    async run(cli, input) {
      const client = await cli.connect();
      const query = {
        cursor: text(input, 'cursor'), limit: text(input, 'limit'), state: text(input, 'state'), role: text(input, 'role'), name: text(input, 'name'),
        relyingPartyId: text(input, 'relying-party'), unusedSince: text(input, 'unused-since'), expiresBefore: text(input, 'expires-before'),
      };
      show(cli, (await client.call(adminTokens.listAdminTokens, { query })).text, TOKEN_COLUMNS);
    },
  },
  lister('admin-token self', adminTokens.getOwnAdminToken, 'Who am I: the API token in use, and what it may do', [], []),
  {
    name: 'admin-token rotate',
    usage: '--self | --id <tokenId> [--overlap <seconds>] [--ttl <seconds>] [--out <file>]',
    summary: 'Replace an API token: same name, role and scopes, another secret; the old one goes on for the overlap',
    example: 'signet admin-token rotate --self --out "$SIGNET_TOKEN_FILE"',
    options: { self: boolean, id: string, overlap: string, ttl: string, ...SECRET_OPTIONS },
    help: {
      self: 'the token in use; --out may name its own file', id: 'another token', overlap: 'how long the old token goes on, seconds; 0 ends it now; without it as the server is configured (10 minutes)',
      ttl: 'life of the new one, seconds; without it that of the old one', ...SECRET_HELP,
    },
    async run(cli, input) {
      const tokenId = text(input, 'id');
      const self = input.values['self'] === true;
      if (self === (tokenId !== undefined)) throw new UsageError('give --self, or --id <tokenId>');
      const body = present({ overlapSeconds: wholeNumber(input, 'overlap'), ttlSeconds: wholeNumber(input, 'ttl') });
      // A token is rotated once: when the answer was lost, the same command gets it again while the old token goes on.
      await createSecret(cli, input, 'an API token', (client) =>
        tokenId === undefined
          ? client.call(adminTokens.rotateOwnAdminToken, { body, headers: { 'idempotency-key': 'rotate' } })
          : client.call(adminTokens.rotateAdminToken, { params: { tokenId }, body, headers: { 'idempotency-key': `rotate-${tokenId}` } }),
      );
    },
  },
  onOne('admin-token revoke', 'tokenId', adminTokens.revokeAdminToken, 'Revoke an API token for good', {
    options: { 'with-successors': boolean },
    help: { 'with-successors': 'also what it was rotated to: for a token that was stolen' },
    of: (input) => present({ withSuccessors: input.values['with-successors'] === true ? true : undefined }),
  }),
];
