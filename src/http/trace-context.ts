/**
 * The `traceparent` header of W3C Trace Context §3.2: version, trace id, parent id, flags, in lower-case hexadecimal. A higher version may have more behind that (§3.2.4);
 * version ff, and an id of zeros, are invalid (§3.2.2).
 */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/** The trace id that the caller gave its request; undefined for a header that is invalid: it is ignored, as §3.2.2 asks, and refuses nothing. */
export function traceIdOf(traceparent: string | string[] | undefined): string | undefined {
  if (typeof traceparent !== 'string' || traceparent.length > MAX_LENGTH) return undefined;
  const [, traceId, more] = TRACEPARENT.exec(traceparent) ?? [];
  return more !== undefined && traceparent.startsWith('00') ? undefined : traceId;
}

const MAX_LENGTH = 256;
