import type * as api from '../api/public.ts';
import { decodeOcspPath } from '../revocation/ocsp/get-request.ts';
import { encodeOcspError } from '../x509/ocsp-response.ts';
import type { Answer, HandlerOf } from './handler.ts';

const OCSP_RESPONSE = 'application/ocsp-response';

/** POST /ocsp (RFC 6960 appendix A.1). */
export const postOcsp: HandlerOf<typeof api.postOcsp> = async (ctx, { rawBody }) => ({ status: 200, contentType: OCSP_RESPONSE, ...(await ctx.ocsp.answer(rawBody)) });

/** GET /ocsp/{request}: the parameter is what stood in the path, still percent-encoded. */
export const getOcsp: HandlerOf<typeof api.getOcsp> = async (ctx, { params }) => {
  const der = requestIn(params.request);
  return der ? { status: 200, contentType: OCSP_RESPONSE, ...(await ctx.ocsp.answer(der)) } : MALFORMED;
};

const MALFORMED: Answer = { status: 200, contentType: OCSP_RESPONSE, bytes: encodeOcspError('malformedRequest') };

function requestIn(path: string): Buffer | undefined {
  try {
    return decodeOcspPath(path);
  } catch {
    return undefined;
  }
}
