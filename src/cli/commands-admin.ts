import * as adminTokens from '../api/admin-tokens.ts';
import { TOKEN_ROLES } from '../api/permissions.ts';
import { onOne } from './commands-agents.ts';
import { lister } from './commands-certificates.ts';
import { present, required, wholeNumber, type Command } from './command.ts';
import { createSecret, SECRET_HELP, SECRET_OPTIONS } from './secret-answer.ts';

const string = { type: 'string' } as const;

export const ADMIN_COMMANDS: Command[] = [
  {
    name: 'admin-token create',
    usage: '--name <name> --role <role> [--ttl <seconds>] [--out <file>]',
    summary: 'Make an API token; it is shown on a terminal or written to a 0600 file, once',
    example: 'signet admin-token create --name ci --role operator --ttl 2592000 --out ./ci-token',
    options: { name: string, role: string, ttl: string, ...SECRET_OPTIONS },
    help: { name: 'what it is for: lower-case letters, digits, dashes', role: TOKEN_ROLES.join(', '), ttl: 'life, seconds; without it the token has no end', ...SECRET_HELP },
    async run(cli, input) {
      const body = present({ name: required(input, 'name'), role: required(input, 'role'), ttlSeconds: wholeNumber(input, 'ttl') });
      await createSecret(cli, input, 'an API token', (client) => client.call(adminTokens.createAdminToken, { body }));
    },
  },
  lister('admin-token list', adminTokens.listAdminTokens, 'List API tokens, never their secrets', ['cursor', 'limit'], ['id', 'name', 'role', 'state', 'expiresAt', 'lastUsedAt']),
  onOne('admin-token revoke', 'tokenId', adminTokens.revokeAdminToken, 'Revoke an API token for good'),
];
