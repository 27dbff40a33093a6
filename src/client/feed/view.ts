import type { FeedEventAnswer, SnapshotEntry } from '../../api/feed.ts';
import { createSerialSet } from '../serial-set.ts';

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
  /** The same for a certificate, whose serial (20 octets) is copied. */
  addCertificate(serial: Uint8Array, status: 'revoked' | 'held'): void;
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

const octetsOf = (serial: string): Buffer => Buffer.from(plainSerial(serial), 'hex');

/** Octets 1 to 3 of a serial: the day its certificate ends (DESIGN invariant 3). */
const endDay = (serial: Uint8Array): number => ((serial[1] ?? 0) << 16) | ((serial[2] ?? 0) << 8) | (serial[3] ?? 0);

/** How a certificate is not good, as the set of serials holds it. */
const HELD = 1;
const REVOKED = 2;

export function createStatusView(): StatusView {
  const certificates = createSerialSet();
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

  const addCertificate = (serial: Uint8Array, status: 'revoked' | 'held'): void => {
    if (certificates.get(serial) !== REVOKED) certificates.set(serial, status === 'revoked' ? REVOKED : HELD);
  };
  const putCertificate = (serial: string | undefined, status: 'revoked' | 'held'): void => {
    if (serial !== undefined) addCertificate(octetsOf(serial), status);
  };
  const release = (serial: string | undefined): void => {
    if (serial === undefined) return;
    const octets = octetsOf(serial);
    if (certificates.get(octets) === HELD) certificates.delete(octets);
  };
  const judgeCertificate = (serial: string): 'revoked' | 'held' | undefined => {
    const found = certificates.get(octetsOf(serial));
    return found === REVOKED ? 'revoked' : found === HELD ? 'held' : undefined;
  };

  return {
    apply({ kind, serial, agentId, instanceId, ownerId, stop }) {
      switch (kind) {
        case 'revoked':
        case 'held':
          return putCertificate(serial, kind);
        case 'released':
          return release(serial);
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
          return putCertificate(entry.serial, entry.status);
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
    addCertificate,
    judge({ serial, agentId, instanceId, ownerId }) {
      const certificate = serial === undefined ? undefined : judgeCertificate(serial);
      const agent = agentId === undefined ? undefined : agents.get(agentId);
      const instance = instanceId === undefined ? undefined : instances.get(instanceId);
      return certificate ?? agent ?? instance ?? (ownerId !== undefined && owners.has(ownerId) ? 'owner-suspended' : undefined);
    },
    stops: () => [...stops],
    size: () => certificates.size,
    forgetEnded(today) {
      if (today === doneOn) return;
      doneOn = today;
      certificates.deleteWhere((serial) => endDay(serial) < today);
    },
  };
}
