import * as adminTokens from '../api/admin-tokens.ts';
import * as authorities from '../api/authorities.ts';
import * as log from '../api/log.ts';
import * as records from '../api/records.ts';
import { text, UsageError, type Command } from './command.ts';
import { asNumber, asText, asTexts, asValue, bodyOf } from './fields.ts';
import { lister, one } from './from-operation.ts';
import { createSecret, SECRET_HELP, SECRET_OPTIONS, secretMaker } from './secret-answer.ts';

const AUTHORITY_COLUMNS = ['id', 'kind', 'state', 'subject', 'notAfter'];

export const AUTHORITY_COMMANDS: Command[] = [
  lister('authority list', authorities.listAuthorities, 'List roots, issuers, responders, TLS certificates', AUTHORITY_COLUMNS),
  one('authority rotate', authorities.rotateAuthority, 'Prepare the next issuer, then make it active; the old one keeps CRL and OCSP until its last certificate is dead', {
    body: bodyOf(authorities.rotateAuthority, { step: asText('step') }), example: '--step prepare', columns: AUTHORITY_COLUMNS,
  }),
  one('authority rollover-root', authorities.rolloverRoot, 'Make a new root, cross-signed by the old one, and a new issuer under it', {
    columns: AUTHORITY_COLUMNS, danger: () => 'Make a new root, which every relying party must come to trust?',
  }),
];

/** Columns of lists of tokens. */
export const TOKEN_COLUMNS = ['id', 'name', 'role', 'state', 'scopes', 'expiresAt', 'lastUsedAt'];

const rotation = bodyOf(adminTokens.rotateAdminToken, { overlap: asNumber('overlapSeconds'), ttl: asNumber('ttlSeconds') });

export const ADMIN_COMMANDS: Command[] = [
  secretMaker('admin-token create', adminTokens.createAdminToken, 'an API token', {
    summary: 'Make an API token; it is shown on a terminal or written to a 0600 file, once',
    body: bodyOf(adminTokens.createAdminToken, { name: asText('name'), role: asText('role'), scope: asTexts('scopes'), ttl: asNumber('ttlSeconds') }),
    needs: ['name', 'role'], example: '--name ci --role operator --scope agents:write --scope join-tokens:create --ttl 2592000 --out ./ci-token',
  }),
  lister('admin-token list', adminTokens.listAdminTokens, 'List API tokens, never their secrets', TOKEN_COLUMNS, '--state active --unused-since 2026-08-01T00:00:00Z'),
  one('admin-token self', adminTokens.getOwnAdminToken, 'Who am I: the API token in use, and what it may do'),
  {
    name: 'admin-token rotate',
    usage: '--self | --id <tokenId> [--out <file>] [options]',
    summary: 'Replace an API token: same name, role and scopes, another secret; the old one goes on for the overlap',
    example: 'signet admin-token rotate --self --out "$SIGNET_TOKEN_FILE"',
    options: { self: { type: 'boolean' }, id: { type: 'string' }, ...rotation.options, ...SECRET_OPTIONS },
    terms: { tokenId: '--id', ...rotation.terms },
    get help() {
      return { self: 'The token in use; --out may name its own file.', id: 'Another token.', ...rotation.help, ...SECRET_HELP };
    },
    async run(cli, input) {
      const tokenId = text(input, 'id');
      const self = input.values['self'] === true;
      if (self === (tokenId !== undefined)) throw new UsageError('give --self, or --id <tokenId>');
      const body = rotation.of(input);
      // A token is rotated once: when the answer was lost, the same command gets it again while the old token goes on.
      await createSecret(cli, input, 'an API token', (client) =>
        tokenId === undefined
          ? client.call(adminTokens.rotateOwnAdminToken, { body, headers: { 'idempotency-key': 'rotate' } })
          : client.call(adminTokens.rotateAdminToken, { params: { tokenId }, body, headers: { 'idempotency-key': `rotate-${tokenId}` } }),
      );
    },
  },
  one('admin-token revoke', adminTokens.revokeAdminToken, 'Revoke an API token for good', {
    body: bodyOf(adminTokens.revokeAdminToken, { 'with-successors': asValue('withSuccessors', true, 'Also what it was rotated to: for a token that was stolen.') }),
    danger: ({ positionals: [id] }) => `Revoke API token ${id} for good?`,
  }),
];

export const RECORD_COMMANDS: Command[] = [
  lister('audit list', records.listAudit, 'List audit events in order', ['n', 'at', 'kind', 'outcome', 'actor', 'agentId', 'serial'], '--kind certificate.revoked --since 2026-11-21T00:00:00Z --all'),
  one('audit log', log.getAuditLog, 'The audit log as a Merkle log: its key, size, newest checkpoint and witnesses', {}),
  lister('job list', records.listJobs, 'Jobs with their last and next runs; one that looks often (publish-crls) runs, and has a last run, only when something was due', ['name', 'schedule', 'lastRun.outcome', 'lastRun.finishedAt', 'nextRunAt']),
  lister('finding list', records.listFindings, 'Things a person should look at', ['id', 'kind', 'agentId', 'instanceId', 'createdAt', 'resolvedAt'], '--open true'),
  one('finding resolve', records.resolveFinding, 'Close a finding: somebody has looked at it', { body: bodyOf(records.resolveFinding, { reason: asText('reason') }), example: '--reason "an answer was lost"' }),
];
