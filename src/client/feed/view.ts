import type { FeedEventAnswer, SnapshotEntry } from '../../api/feed.ts';

/** What somebody is asked about: all that is known of a caller. A certificate's own validity and chain are the verifier's to check. */
export interface Subject {
  /** 40 hexadecimal digits, with or without colons. */
  serial?: string;
  agentId?: string;
  instanceId?: string;
  ownerId?: string;
}

/** Why a subject is not good. */
export type NotGood = 'revoked' | 'held' | 'agent-suspended' | 'agent-retired' | 'instance-quarantined' | 'instance-revoked' | 'owner-suspended';

/** Everything that is not good, as of one number of the feed. */
export interface StatusView {
  /** Takes an event into account. Events come in order. */
  apply(event: FeedEventAnswer): void;
  /** Takes a line of a snapshot into account. */
  add(entry: SnapshotEntry): void;
  /** Undefined: nothing is known against it. */
  judge(subject: Subject): NotGood | undefined;
  /** Stops of issuance in force: `everything`, `issuer:<id>`, `profile:<name>`. */
  stops(): string[];
  /** Certificates known not to be good. */
  size(): number;
  /** Forgets certificates that ended before this day (days since 1970), as their serials tell. Costs nothing on a day when it was done. */
  forgetEnded(today: number): void;
}

/** The form serials are compared in. */
export const plainSerial = (serial: string): string => serial.replaceAll(':', '').toLowerCase();

/** Octets 1 to 3 of a serial: the day its certificate ends (DESIGN invariant 3). */
const endDay = (serial: string): number => Number.parseInt(serial.slice(2, 8), 16);

export function createStatusView(): StatusView {
  const certificates = new Map<string, 'revoked' | 'held'>();
  const agents = new Map<string, 'agent-suspended' | 'agent-retired'>();
  const instances = new Map<string, 'instance-quarantined' | 'instance-revoked'>();
  const owners = new Set<string>();
  const stops = new Set<string>();
  let doneOn: number | undefined;

  /** What ended for good stays ended, whatever is said later. */
  const lift = <T extends string>(of: Map<string, T>, key: string | undefined, final: T): void => {
    if (key !== undefined && of.get(key) !== final) of.delete(key);
  };
  const put = <T extends string>(of: Map<string, T>, key: string | undefined, value: T, final: T): void => {
    if (key !== undefined && of.get(key) !== final) of.set(key, value);
  };

  return {
    apply({ kind, serial, agentId, instanceId, ownerId, stop }) {
      switch (kind) {
        case 'revoked':
        case 'held':
          return put(certificates, serial, kind, 'revoked');
        case 'released':
          return lift(certificates, serial, 'revoked');
        case 'agent-suspended':
        case 'agent-retired':
          return put(agents, agentId, kind, 'agent-retired');
        case 'agent-resumed':
          return lift(agents, agentId, 'agent-retired');
        case 'instance-quarantined':
        case 'instance-revoked':
          return put(instances, instanceId, kind, 'instance-revoked');
        case 'instance-released':
          return lift(instances, instanceId, 'instance-revoked');
        case 'owner-suspended':
          if (ownerId !== undefined) owners.add(ownerId);
          return;
        case 'owner-resumed':
          if (ownerId !== undefined) owners.delete(ownerId);
          return;
        case 'issuance-stopped':
          if (stop !== undefined) stops.add(stop);
          return;
        case 'issuance-resumed':
          if (stop !== undefined) stops.delete(stop);
      }
    },
    add(entry) {
      switch (entry.type) {
        case 'certificate':
          return put(certificates, entry.serial, entry.status, 'revoked');
        case 'agent':
          return void agents.set(entry.agentId, `agent-${entry.state}`);
        case 'instance':
          return void instances.set(entry.instanceId, `instance-${entry.state}`);
        case 'owner':
          return void owners.add(entry.ownerId);
        case 'stop':
          stops.add(entry.stop);
      }
    },
    judge({ serial, agentId, instanceId, ownerId }) {
      const certificate = serial === undefined ? undefined : certificates.get(plainSerial(serial));
      const agent = agentId === undefined ? undefined : agents.get(agentId);
      const instance = instanceId === undefined ? undefined : instances.get(instanceId);
      return certificate ?? agent ?? instance ?? (ownerId !== undefined && owners.has(ownerId) ? 'owner-suspended' : undefined);
    },
    stops: () => [...stops],
    size: () => certificates.size,
    forgetEnded(today) {
      if (today === doneOn) return;
      doneOn = today;
      for (const serial of certificates.keys()) if (endDay(serial) < today) certificates.delete(serial);
    },
  };
}
