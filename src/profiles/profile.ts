import { z } from 'zod';
import type { KeyAlgorithm } from '../x509/algorithms.ts';

const SECONDS_PER_DAY = 86_400;
/** Longest life any profile may give a leaf, whatever its file says. */
export const MAX_LEAF_SECONDS = 7 * SECONDS_PER_DAY;
/** RFC 9608 §4: noRevAvail belongs on certificates that die before a revocation would have been noticed. */
const MAX_UNREVOCABLE_SECONDS = 600;

const keyAlgorithm = z.enum(['ecdsa-p256', 'ecdsa-p384', 'ed25519', 'rsa-2048', 'rsa-3072', 'rsa-4096']) satisfies z.ZodType<KeyAlgorithm>;

/** What a profiles file says of one profile (JSON); every field has a default from the built-in profile `agent`. */
const ProfileConfig = z.strictObject({
  ttlSeconds: z.int().min(10).default(3600),
  maxTtlSeconds: z.int().min(10).max(MAX_LEAF_SECONDS).default(SECONDS_PER_DAY),
  subject: z.enum(['agent-id', 'agent-name', 'empty']).default('agent-id'),
  instanceInPath: z.boolean().default(false),
  revocationPointers: z.enum(['crl-and-ocsp', 'none']).default('crl-and-ocsp'),
  extendedKeyUsage: z.array(z.enum(['clientAuth', 'serverAuth'])).min(1).default(['clientAuth', 'serverAuth']),
  keyAlgorithms: z.array(keyAlgorithm).min(1).default([...keyAlgorithm.options]),
  dnsNames: z.boolean().default(true),
  keyReuse: z.boolean().default(false),
  renewAfterExpirySeconds: z.int().min(0).max(30 * SECONDS_PER_DAY).default(0),
  renewal: z
    .strictObject({ startFraction: z.number().min(0.05).max(0.9), endFraction: z.number().min(0.1).max(0.95) })
    .default({ startFraction: 0.25, endFraction: 0.4 }),
});

/** What a certificate of this kind looks like and how long it may live. Immutable once validated. */
export interface Profile extends Readonly<z.output<typeof ProfileConfig>> {
  readonly name: string;
}

export interface Profiles {
  get(name: string): Profile | undefined;
  names(): string[];
  /** Shortest `ttlSeconds` of all profiles: the bound for TLS session tickets (DESIGN §4). */
  readonly shortestTtlSeconds: number;
  /** Longest `renewAfterExpirySeconds` of all profiles: so long after its end a certificate may still open the way to another. */
  readonly longestGraceSeconds: number;
}

const PROFILE_NAME = /^[a-z][a-z0-9-]{0,31}$/;

const BUILT_IN: Record<string, z.input<typeof ProfileConfig>> = {
  agent: {},
  ephemeral: { ttlSeconds: 300, maxTtlSeconds: 600, instanceInPath: true, revocationPointers: 'none', dnsNames: false },
  service: { ttlSeconds: SECONDS_PER_DAY, maxTtlSeconds: MAX_LEAF_SECONDS, renewAfterExpirySeconds: 3600 },
};

/** A fault of the profiles file, by profile and field. */
export class ProfileError extends Error {
  override readonly name = 'ProfileError';
}

/**
 * Built-in profiles overlaid with those of a file (`{ "<name>": { … } }`), validated whole.
 * @throws ProfileError listing every fault
 */
export function loadProfiles(file: unknown): Profiles {
  const faults: string[] = [];
  const given = z.record(z.string(), z.record(z.string(), z.unknown())).safeParse(file ?? {});
  if (!given.success) throw new ProfileError('the profiles file must be a JSON object of objects');
  const profiles = new Map<string, Profile>();
  for (const name of new Set([...Object.keys(BUILT_IN), ...Object.keys(given.data)])) {
    if (!PROFILE_NAME.test(name)) {
      faults.push(`${name}: a profile name is lower-case letters, digits and dashes, at most 32`);
      continue;
    }
    const parsed = ProfileConfig.safeParse({ ...BUILT_IN[name], ...given.data[name] });
    if (!parsed.success) {
      faults.push(...parsed.error.issues.map((issue) => `${name}.${issue.path.join('.')}: ${issue.message}`));
      continue;
    }
    const profile = Object.freeze({ name, ...parsed.data });
    faults.push(...contradictions(profile).map((fault) => `${name}: ${fault}`));
    profiles.set(name, profile);
  }
  if (faults.length > 0) throw new ProfileError(faults.join('\n'));
  return {
    get: (name) => profiles.get(name),
    names: () => [...profiles.keys()],
    shortestTtlSeconds: Math.min(...[...profiles.values()].map((profile) => profile.ttlSeconds)),
    longestGraceSeconds: Math.max(...[...profiles.values()].map((profile) => profile.renewAfterExpirySeconds)),
  };
}

function contradictions(profile: Profile): string[] {
  const faults: string[] = [];
  if (profile.ttlSeconds > profile.maxTtlSeconds) faults.push('ttlSeconds is above maxTtlSeconds');
  if (profile.renewal.startFraction >= profile.renewal.endFraction) faults.push('renewal.startFraction must be below renewal.endFraction');
  if (!profile.extendedKeyUsage.includes('clientAuth')) faults.push('extendedKeyUsage must contain clientAuth: renewal is by mutual TLS');
  if (profile.revocationPointers === 'none' && profile.maxTtlSeconds > MAX_UNREVOCABLE_SECONDS) {
    faults.push(`without revocation pointers maxTtlSeconds may be at most ${MAX_UNREVOCABLE_SECONDS} (RFC 9608)`);
  }
  return faults;
}
