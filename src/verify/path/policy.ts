/**
 * Certificate policies (RFC 5280 §6.1.2 - §6.1.5) as a graph of policies (RFC 9618 §5), not as a tree: a policy stands once at each depth, whatever
 * number of ways lead to it, so that the work grows with what the certificates say and not with its powers.
 */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { OID } from '../../x509/oids.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';

export interface PolicyInputs {
  /** Dotted; undefined or with anyPolicy: any. */
  initialPolicies: readonly string[] | undefined;
  requireExplicitPolicy: boolean;
  inhibitMapping: boolean;
  inhibitAnyPolicy: boolean;
}

interface PolicyNode {
  policy: string;
  /** What the certificates below must say for it. */
  expected: Set<string>;
  /** Nodes above; a node of depth 1 has the root, which is none. */
  parents: PolicyNode[];
  depth: number;
}

/** Nodes of one depth by their policy. */
type Level = Map<string, PolicyNode>;

interface State {
  levels: Level[];
  explicitPolicy: number;
  inhibitAnyPolicy: number;
  policyMapping: number;
}

const ANY = OID.anyPolicy;

/** `path` from the leaf to the anchor, which is no part of what is processed. */
export function policyFault(path: readonly ForeignCertificate[], inputs: PolicyInputs): PathReason | undefined {
  const certificates = path.slice(0, -1).toReversed();
  const count = certificates.length;
  const unlessSet = (flag: boolean) => (flag ? 0 : count + 1);
  const root: PolicyNode = { policy: ANY, expected: new Set([ANY]), parents: [], depth: 0 };
  const state: State = {
    levels: [new Map([[ANY, root]])],
    explicitPolicy: unlessSet(inputs.requireExplicitPolicy),
    inhibitAnyPolicy: unlessSet(inputs.inhibitAnyPolicy),
    policyMapping: unlessSet(inputs.inhibitMapping),
  };
  for (const [i, certificate] of certificates.entries()) {
    const isLast = i === count - 1;
    state.levels.push(nextLevel(state, certificate, isLast));
    if (state.explicitPolicy === 0 && isEmpty(state)) return unsatisfied(certificate);
    if (isLast) break;
    const fault = mapPolicies(state, certificate);
    if (fault) return fault;
    countDown(state, certificate);
  }
  return wrapUp(state, certificates.at(-1), inputs.initialPolicies);
}

const unsatisfied = (certificate: ForeignCertificate) =>
  reason('policy-not-satisfied', `a certificate policy is required, and none is valid as far as ${nameOf(certificate)}`, certificate);

/** Whether no policy is valid at the depth that was reached. */
const isEmpty = ({ levels }: State): boolean => (levels.at(-1)?.size ?? 0) === 0;

/** §6.1.3 (d), (e): the nodes that the policies of a certificate make below those above. */
function nextLevel({ levels, inhibitAnyPolicy }: State, certificate: ForeignCertificate, isLast: boolean): Level {
  const above = levels.at(-1) ?? new Map<string, PolicyNode>();
  const level: Level = new Map();
  const { policies } = certificate;
  if (!policies || above.size === 0) return level;
  const depth = levels.length;
  const expecting = new Map<string, PolicyNode[]>();
  for (const node of above.values()) for (const policy of node.expected) addTo(expecting, policy, node);
  const add = (policy: string, parents: PolicyNode[]) => level.set(policy, { policy, expected: new Set([policy]), parents, depth });
  const any = above.get(ANY);
  for (const policy of policies) {
    if (policy === ANY) continue;
    const parents = expecting.get(policy) ?? (any ? [any] : []);
    if (parents.length > 0) add(policy, parents);
  }
  // (d)(2): anyPolicy stands for whatever is expected and not yet there.
  if (policies.includes(ANY) && (inhibitAnyPolicy > 0 || (!isLast && certificate.isSelfIssued))) {
    for (const [policy, parents] of expecting) if (!level.has(policy)) add(policy, parents);
  }
  return level;
}

/** §6.1.4 (a), (b). */
function mapPolicies(state: State, certificate: ForeignCertificate): PathReason | undefined {
  const mappings = certificate.policyMappings;
  if (!mappings) return undefined;
  if (mappings.some(({ issuerDomain, subjectDomain }) => issuerDomain === ANY || subjectDomain === ANY)) {
    return reason('policy-not-satisfied', `${nameOf(certificate)} maps anyPolicy (RFC 5280 §6.1.4 (a))`, certificate);
  }
  const level = state.levels.at(-1);
  if (!level) return undefined;
  const targets = new Map<string, Set<string>>();
  for (const { issuerDomain, subjectDomain } of mappings) targets.set(issuerDomain, (targets.get(issuerDomain) ?? new Set()).add(subjectDomain));
  const any = level.get(ANY);
  for (const [policy, expected] of targets) {
    const node = level.get(policy);
    if (state.policyMapping === 0) level.delete(policy);
    else if (node) node.expected = expected;
    else if (any) level.set(policy, { policy, expected, parents: any.parents, depth: any.depth });
  }
  return undefined;
}

/** §6.1.4 (h)-(j): what the certificate leaves for those below it. */
function countDown(state: State, certificate: ForeignCertificate): void {
  if (!certificate.isSelfIssued) {
    state.explicitPolicy = Math.max(0, state.explicitPolicy - 1);
    state.policyMapping = Math.max(0, state.policyMapping - 1);
    state.inhibitAnyPolicy = Math.max(0, state.inhibitAnyPolicy - 1);
  }
  const { policyConstraints, inhibitAnyPolicy } = certificate;
  state.explicitPolicy = Math.min(state.explicitPolicy, policyConstraints?.requireExplicitPolicy ?? Infinity);
  state.policyMapping = Math.min(state.policyMapping, policyConstraints?.inhibitPolicyMapping ?? Infinity);
  state.inhibitAnyPolicy = Math.min(state.inhibitAnyPolicy, inhibitAnyPolicy ?? Infinity);
}

/** §6.1.5 (a), (b), (g). */
function wrapUp(state: State, leaf: ForeignCertificate | undefined, initial: readonly string[] | undefined): PathReason | undefined {
  if (!leaf) return undefined;
  const left = leaf.policyConstraints?.requireExplicitPolicy === 0 ? 0 : Math.max(0, state.explicitPolicy - 1);
  if (left > 0) return undefined;
  const last = state.levels.at(-1);
  const satisfied = last !== undefined && (initial === undefined || initial.includes(ANY) ? last.size > 0 : authorityPolicies(last).some((policy) => policy === ANY || initial.includes(policy)));
  return satisfied ? undefined : unsatisfied(leaf);
}

/**
 * The policies, in the words of the anchor, that a node of the last depth comes from (§6.1.5 (g)(iii), RFC 9618 §5.5): those whose parent is anyPolicy.
 * Looked at once each.
 */
function authorityPolicies(last: Level): string[] {
  const policies = new Set<string>();
  const seen = new Set<PolicyNode>();
  const open = [...last.values()];
  for (let node = open.pop(); node; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.policy === ANY && node.depth > 0 && last.get(ANY) === node) policies.add(ANY);
    for (const parent of node.parents) {
      if (parent.policy !== ANY) open.push(parent);
      else if (node.policy !== ANY) policies.add(node.policy);
    }
  }
  return [...policies];
}

function addTo(map: Map<string, PolicyNode[]>, policy: string, node: PolicyNode): void {
  const nodes = map.get(policy);
  if (nodes) nodes.push(node);
  else map.set(policy, [node]);
}
