import type { SelectorInput } from '../api/kills.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { findAgent, isProfileUsed } from '../db/agents.ts';
import { authorityKindOf, isIssuer } from '../db/authorities.ts';
import { findCertificate } from '../db/commit.ts';
import { findInstance } from '../db/instances.ts';
import { isProfileAlive, type Selection } from '../db/kills.ts';
import { findOwner } from '../db/owners.ts';
import { parseSerial, serialHex } from '../x509/serial.ts';

export type { Selection };

type Lookup = Pick<Context, 'db' | 'config' | 'profiles'>;
type Given<K extends keyof SelectorInput> = NonNullable<SelectorInput[K]>;

/** How each member of a selector is looked up: what is not known is refused, so that a slip of the pen hits nothing, and never more than was meant. */
const LOOK_UP: { readonly [K in keyof SelectorInput]-?: (ctx: Lookup, given: Given<K>, now: Date) => Promise<Selection> } = {
  async serial(ctx, text) {
    const serial = parseSerial(text);
    await assertLeaf(ctx, serial);
    return { selector: 'serial', target: serialHex(serial) };
  },
  async instanceId({ db }, id) {
    if (!(await findInstance(db, id))) throw new SignetError('instance-not-found', `there is no instance ${id}`);
    return { selector: 'instance', target: id };
  },
  async agentId({ db }, id) {
    if (!(await findAgent(db, id))) throw new SignetError('agent-not-found', `there is no agent ${id}`);
    return { selector: 'agent', target: id };
  },
  async owner({ db }, name) {
    const owner = await findOwner(db, name.includes('@') ? { email: name } : { id: name });
    if (!owner) throw new SignetError('owner-not-found', 'nothing was ever registered for this owner');
    return { selector: 'owner', target: owner.id };
  },
  labels(_ctx, labels) {
    if (Object.keys(labels).length === 0) throw new SignetError('selector-invalid', 'labels must name at least one label: without one it would mean every agent');
    return Promise.resolve({ selector: 'labels', target: JSON.stringify(labels) });
  },
  async issuerId({ db }, id) {
    if (!(await isIssuer(db, id))) throw new SignetError('authority-not-found', `there is no issuer ${id}`);
    return { selector: 'issuer', target: id };
  },
  async profile({ db, config, profiles }, name, now) {
    // Of one that is neither configured nor registered any more, certificates may live on.
    const isKnown = profiles.get(name) !== undefined || (await isProfileUsed(db, name)) || (await isProfileAlive(db, name, { now, lookMax: config.killLookMax }));
    if (isKnown === false) throw new SignetError('profile-not-found', `profile ${name} is neither configured nor registered for any agent, and no live certificate has it`);
    return { selector: 'profile', target: name };
  },
  everything: () => Promise.resolve({ selector: 'everything', target: '*' }),
};

/**
 * What a selector means. Exactly one member: nothing given, or several, is refused.
 * @throws SignetError `selector-invalid`, `serial-malformed`, `certificate-not-found`, `authority-state-conflict`, `instance-not-found`, `agent-not-found`, `owner-not-found`,
 * `authority-not-found`, `profile-not-found`
 */
export async function selectionOf(ctx: Lookup, selector: SelectorInput, now: Date): Promise<Selection> {
  const [first, ...more] = Object.entries(selector) as [keyof SelectorInput, unknown][];
  if (first === undefined) throw new SignetError('selector-invalid', 'the selector is empty');
  if (more.length > 0) throw new SignetError('selector-invalid', `the selector has ${more.length + 1} members; one kill is about one of them`);
  const lookUp = LOOK_UP[first[0]] as (ctx: Lookup, given: unknown, now: Date) => Promise<Selection>;
  return lookUp(ctx, first[1], now);
}

/** What a selector that names its target outright means, whether or not it is there; undefined for the others, and for what is refused. @throws SignetError `serial-malformed` */
export function namedSelection(selector: SelectorInput): Selection | undefined {
  if (Object.keys(selector).length !== 1) return undefined;
  const { serial, instanceId, agentId, labels } = selector;
  if (serial !== undefined) return { selector: 'serial', target: serialHex(parseSerial(serial)) };
  if (instanceId !== undefined) return { selector: 'instance', target: instanceId };
  if (agentId !== undefined) return { selector: 'agent', target: agentId };
  if (labels !== undefined && Object.keys(labels).length > 0) return { selector: 'labels', target: JSON.stringify(labels) };
  return undefined;
}

/** A selection as the wire has it. `email`: of the owner, when it is known. */
export function selectorOf({ selector, target }: Selection, email?: string): SelectorInput {
  switch (selector) {
    case 'serial':
      return { serial: target };
    case 'instance':
      return { instanceId: target };
    case 'agent':
      return { agentId: target };
    case 'owner':
      return { owner: email ?? target };
    case 'labels':
      return { labels: JSON.parse(target) as Record<string, string> };
    case 'issuer':
      return { issuerId: target };
    case 'profile':
      return { profile: target };
    case 'everything':
      return { everything: true };
  }
}

/** The certificate of an agent. @throws SignetError `certificate-not-found`, `authority-state-conflict` */
export async function assertLeaf({ db }: Pick<Context, 'db'>, serial: Uint8Array): Promise<void> {
  if (!(await findCertificate(db, serial))) throw await noLeaf({ db }, serial);
}

/** Why there is no agent's certificate with this serial. */
export async function noLeaf({ db }: Pick<Context, 'db'>, serial: Uint8Array): Promise<SignetError> {
  const kind = await authorityKindOf(db, serial);
  if (kind === undefined) return new SignetError('certificate-not-found', `no certificate with serial ${serialHex(serial)} was issued here, or it was cleared away after it had expired`);
  return new SignetError('authority-state-conflict', `${serialHex(serial)} is the certificate of the authority itself (${kind}): it is not revoked like one that it issued, but rotated`);
}
