import { readFileSync } from 'node:fs';
import { RELYING_PARTY_GRANTS } from '../api/permissions.ts';
import * as relyingParties from '../api/relying-parties.ts';
import { TOKEN_COLUMNS } from './commands-admin.ts';
import { onOne } from './commands-agents.ts';
import { lister } from './commands-certificates.ts';
import { present, required, text, texts, wholeNumber, type Command, type CommandInput, type Options } from './command.ts';
import { show } from './output.ts';
import { createSecret, SECRET_HELP, SECRET_OPTIONS } from './secret-answer.ts';

const string = { type: 'string' } as const;
const EXAMPLE_ID = '01KAMV3W5QZ3C1D6X2G7R8S9TB';

const registration: Options = { name: string, owner: string, 'may-ask': { type: 'string', multiple: true } };
const registrationHelp = {
  name: 'unique name: lower-case letters, digits, dashes',
  owner: 'e-mail address of the accountable person',
  'may-ask': `${RELYING_PARTY_GRANTS.join(' or ')}, may be repeated; identity: whose a certificate is`,
};
const registrationOf = (input: CommandInput) => present({ name: text(input, 'name'), ownerEmail: text(input, 'owner'), mayAsk: texts(input, 'may-ask') });
const why = { options: { reason: string }, help: { reason: 'why, in words, for the record' }, of: (input: CommandInput) => present({ reason: text(input, 'reason') }) };
const relyingPartyId = (input: CommandInput): string => input.positionals[0] ?? '';

export const RELYING_PARTY_COMMANDS: Command[] = [
  {
    name: 'relying-party register',
    usage: '--name <name> --owner <email> [--may-ask <grant>]...',
    summary: 'Register a relying party: somebody who may ask for status',
    example: 'signet relying-party register --name api-gateway --owner bob@example.org --may-ask status --may-ask identity',
    options: registration,
    help: { ...registrationHelp, 'may-ask': `${registrationHelp['may-ask']}; by default status` },
    async run(cli, input) {
      const body = { ...registrationOf(input), name: required(input, 'name'), ownerEmail: required(input, 'owner') };
      show(cli, (await (await cli.connect()).call(relyingParties.registerRelyingParty, { body })).text);
    },
  },
  lister('relying-party list', relyingParties.listRelyingParties, 'List relying parties', ['cursor', 'limit', 'name', 'state', 'ownerEmail', 'mayAsk'], ['id', 'name', 'state', 'ownerEmail', 'mayAsk', 'updatedAt']),
  onOne('relying-party show', 'relyingPartyId', relyingParties.getRelyingParty, 'Show a relying party and its certificates'),
  onOne('relying-party change', 'relyingPartyId', relyingParties.changeRelyingParty, 'Change a relying party', { options: registration, help: registrationHelp, of: registrationOf }),
  onOne('relying-party disable', 'relyingPartyId', relyingParties.disableRelyingParty, 'Disable a relying party: all its credentials are refused at once', why),
  onOne('relying-party enable', 'relyingPartyId', relyingParties.enableRelyingParty, 'Enable a disabled relying party: its credentials work again', why),
  {
    name: 'relying-party add-certificate',
    usage: '<relyingPartyId> --certificate <file>',
    summary: 'Pin a client certificate of any CA, which the relying party shows on the mutual TLS door',
    example: `signet relying-party add-certificate ${EXAMPLE_ID} --certificate ./gateway.pem`,
    positionals: ['relyingPartyId'],
    options: { certificate: string },
    help: { certificate: 'file with the one certificate, PEM' },
    async run(cli, input) {
      const body = { certificate: readFileSync(required(input, 'certificate'), 'utf8') };
      show(cli, (await (await cli.connect()).call(relyingParties.addRelyingPartyCertificate, { params: { relyingPartyId: relyingPartyId(input) }, body })).text);
    },
  },
  {
    name: 'relying-party remove-certificate',
    usage: '<relyingPartyId> <certificateId>',
    summary: 'Remove a pinned certificate: it is refused at once',
    example: `signet relying-party remove-certificate ${EXAMPLE_ID} 01KAMV3W5QZ3C1D6X2G7R8S9TC`,
    positionals: ['relyingPartyId', 'certificateId'],
    async run(cli, input) {
      const params = { relyingPartyId: relyingPartyId(input), certificateId: input.positionals[1] ?? '' };
      show(cli, (await (await cli.connect()).call(relyingParties.removeRelyingPartyCertificate, { params })).text);
    },
  },
  {
    name: 'relying-party create-token',
    usage: '<relyingPartyId> --name <name> [--ttl <seconds>] [--out <file>]',
    summary: 'Make an API token for a relying party; it is shown on a terminal or written to a 0600 file, once',
    example: `signet relying-party create-token ${EXAMPLE_ID} --name gateway-1 --out ./gateway-token`,
    positionals: ['relyingPartyId'],
    options: { name: string, ttl: string, ...SECRET_OPTIONS },
    help: { name: 'what it is for: lower-case letters, digits, dashes', ttl: 'life, seconds; without it as the server is configured (90 days)', ...SECRET_HELP },
    async run(cli, input) {
      const body = present({ name: required(input, 'name'), ttlSeconds: wholeNumber(input, 'ttl') });
      await createSecret(cli, input, 'an API token', (client) => client.call(relyingParties.createRelyingPartyToken, { params: { relyingPartyId: relyingPartyId(input) }, body }));
    },
  },
  {
    name: 'relying-party list-tokens',
    usage: '<relyingPartyId>',
    summary: 'List the API tokens of a relying party, never their secrets',
    example: `signet relying-party list-tokens ${EXAMPLE_ID}`,
    positionals: ['relyingPartyId'],
    options: { cursor: string, limit: string },
    async run(cli, input) {
      const call = { params: { relyingPartyId: relyingPartyId(input) }, query: { cursor: text(input, 'cursor'), limit: text(input, 'limit') } };
      show(cli, (await (await cli.connect()).call(relyingParties.listRelyingPartyTokens, call)).text, TOKEN_COLUMNS);
    },
  },
  {
    name: 'relying-party revoke-token',
    usage: '<relyingPartyId> <tokenId>',
    summary: 'Revoke an API token of a relying party for good',
    example: `signet relying-party revoke-token ${EXAMPLE_ID} 01KAMV3W5QZ3C1D6X2G7R8S9TC`,
    positionals: ['relyingPartyId', 'tokenId'],
    async run(cli, input) {
      const params = { relyingPartyId: relyingPartyId(input), tokenId: input.positionals[1] ?? '' };
      show(cli, (await (await cli.connect()).call(relyingParties.revokeRelyingPartyToken, { params })).text);
    },
  },
];
