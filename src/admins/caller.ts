import { SignetError } from '../core/errors.ts';

/** The token of who asks, believed a moment ago, has ended before its change of other tokens was decided. */
export const callerUnusable = (): SignetError => new SignetError('invalid-credential', 'the API token has expired or was revoked');
