import { ADMIN_COMMANDS, AUTHORITY_COMMANDS, RECORD_COMMANDS } from './commands-admin.ts';
import { AGENT_COMMANDS } from './commands-agents.ts';
import { CERTIFICATE_COMMANDS, IDENTITY_COMMANDS } from './commands-certificates.ts';
import { FEED_COMMANDS } from './commands-feed.ts';
import { KILL_COMMANDS, renewalInfo } from './commands-kill.ts';
import { LOG_COMMANDS } from './commands-log.ts';
import { RELYING_PARTY_COMMANDS } from './commands-relying-parties.ts';
import { SERVICE_COMMANDS, STATUS_COMMANDS } from './commands-status.ts';
import { VERIFY_COMMANDS } from './commands-verify.ts';
import type { Command, CommandHelp } from './command.ts';

/** Commands that belong together, as the overview shows them. */
export interface Group<C extends CommandHelp = Command> {
  title: string;
  commands: readonly C[];
}

/** THE table of commands that speak to a Signet; those of the machine itself are in admin/. */
export const GROUPS: readonly Group[] = [
  { title: 'Agents, their instances and join tokens', commands: AGENT_COMMANDS },
  { title: 'An agent for itself', commands: [...IDENTITY_COMMANDS, renewalInfo] },
  { title: 'Certificates', commands: CERTIFICATE_COMMANDS },
  { title: 'The kill switch', commands: KILL_COMMANDS },
  { title: 'Status, as relying parties ask for it', commands: STATUS_COMMANDS },
  { title: 'What a relying party does offline', commands: VERIFY_COMMANDS },
  { title: 'The live feed', commands: FEED_COMMANDS },
  { title: 'The authority', commands: AUTHORITY_COMMANDS },
  { title: 'API tokens', commands: ADMIN_COMMANDS },
  { title: 'Relying parties', commands: RELYING_PARTY_COMMANDS },
  { title: 'Records', commands: RECORD_COMMANDS },
  { title: 'The log, as auditors check it', commands: LOG_COMMANDS },
  { title: 'The service', commands: SERVICE_COMMANDS },
];

export const COMMANDS: readonly Command[] = GROUPS.flatMap(({ commands }) => commands);
