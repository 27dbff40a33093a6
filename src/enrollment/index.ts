/** The catalogue of enrollment methods: exactly one of each name, all of them on. */
import type { EnrollmentMethod } from './enrollment-method.ts';
import { parseJoinToken } from './join-token/secret.ts';
import { verifyJoinToken } from './join-token/verify.ts';

export const enrollmentMethods = {
  'join-token': { idOf: (credential) => parseJoinToken(credential)?.id, verify: verifyJoinToken },
} as const satisfies Record<string, EnrollmentMethod>;

export type { EnrollmentEvidence, EnrollmentMethod, EnrollmentRequest } from './enrollment-method.ts';
export { createJoinToken, type CreatedJoinToken } from './join-token/create.ts';
