import * as relyingParties from '../api/relying-parties.ts';
import { TOKEN_COLUMNS } from './commands-admin.ts';
import type { Command } from './command.ts';
import { asNumber, asText, asTexts, bodyOf, type Field } from './fields.ts';
import { lister, one } from './from-operation.ts';
import { readGiven } from './given-file.ts';
import { secretMaker } from './secret-answer.ts';

const registration = { name: asText('name'), owner: asText('ownerEmail'), 'may-ask': asTexts('mayAsk') };
const why = { reason: asText('reason') };

/** The content of a file. */
const asFile = (member: string, help: string): Field => ({
  ...asText(member),
  read: (input, option) => {
    const file = input.values[option];
    return typeof file === 'string' ? readGiven(file, `--${option}`) : undefined;
  },
  help,
});

export const RELYING_PARTY_COMMANDS: Command[] = [
  one('relying-party register', relyingParties.registerRelyingParty, 'Register a relying party: somebody who may ask for status', {
    body: bodyOf(relyingParties.registerRelyingParty, registration), needs: ['name', 'owner'], example: '--name api-gateway --owner bob@example.org --may-ask status --may-ask identity',
  }),
  lister('relying-party list', relyingParties.listRelyingParties, 'List relying parties', ['id', 'name', 'state', 'ownerEmail', 'mayAsk', 'updatedAt'], '--may-ask identity'),
  one('relying-party show', relyingParties.getRelyingParty, 'Show a relying party and its certificates'),
  one('relying-party change', relyingParties.changeRelyingParty, 'Change a relying party: only what is given', { body: bodyOf(relyingParties.changeRelyingParty, registration), example: '--may-ask status' }),
  one('relying-party disable', relyingParties.disableRelyingParty, 'Disable a relying party: all its credentials are refused at once', { body: bodyOf(relyingParties.disableRelyingParty, why) }),
  one('relying-party enable', relyingParties.enableRelyingParty, 'Enable a disabled relying party: its credentials work again', { body: bodyOf(relyingParties.enableRelyingParty, why) }),
  one('relying-party add-certificate', relyingParties.addRelyingPartyCertificate, 'Pin a client certificate of any CA, which the relying party shows on the mutual TLS door', {
    body: bodyOf(relyingParties.addRelyingPartyCertificate, { certificate: asFile('certificate', 'File with the one certificate, PEM.') }), needs: ['certificate'], example: '--certificate ./gateway.pem',
  }),
  one('relying-party remove-certificate', relyingParties.removeRelyingPartyCertificate, 'Remove a pinned certificate: it is refused at once', {
    danger: ({ positionals: [, id] }) => `Remove certificate ${id}? The relying party is refused with it from now on.`,
  }),
  secretMaker('relying-party create-token', relyingParties.createRelyingPartyToken, 'an API token', {
    summary: 'Make an API token for a relying party; it is shown on a terminal or written to a 0600 file, once',
    body: bodyOf(relyingParties.createRelyingPartyToken, { name: asText('name'), ttl: asNumber('ttlSeconds') }), needs: ['name'], example: '01M7YVE1A7C2T9H4N6P8R0S3WX --name gateway-1 --out ./gateway-token',
  }),
  lister('relying-party list-tokens', relyingParties.listRelyingPartyTokens, 'List the API tokens of a relying party, never their secrets', TOKEN_COLUMNS),
  one('relying-party revoke-token', relyingParties.revokeRelyingPartyToken, 'Revoke an API token of a relying party for good', { danger: ({ positionals: [, id] }) => `Revoke API token ${id} for good?` }),
];
