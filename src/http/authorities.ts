import type * as api from '../api/authorities.ts';
import type { AuthorityAnswer } from '../api/authorities.ts';
import { rolloverRoot } from '../authorities/rollover-root.ts';
import { rotateIssuer } from '../authorities/rotate-issuer.ts';
import type { Context } from '../context.ts';
import { listAuthorityViews, type AuthorityView } from '../db/views/authorities.ts';
import { encodePem } from '../x509/pem.ts';
import { iso, isoOrNull, ok } from './answers.ts';
import type { Answer, HandlerOf } from './handler.ts';

/** GET /v1/authorities */
export const list: HandlerOf<typeof api.listAuthorities> = (ctx) => allAuthorities(ctx);

/** POST /v1/authorities/rotate */
export const rotate: HandlerOf<typeof api.rotateAuthority> = async (ctx, { origin, body }) => {
  await rotateIssuer(ctx, origin, body.step);
  return allAuthorities(ctx);
};

/** POST /v1/authorities/rollover-root */
export const rollover: HandlerOf<typeof api.rolloverRoot> = async (ctx, { origin }) => {
  await rolloverRoot(ctx, origin);
  return allAuthorities(ctx);
};

async function allAuthorities(ctx: Context): Promise<Answer> {
  const rows = await listAuthorityViews(ctx.db);
  return ok({ items: rows.map(render) });
}

function render(row: AuthorityView): AuthorityAnswer {
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    issuerId: row.issuerId,
    serial: row.serial.toString('hex'),
    fingerprint: row.fingerprint.toString('hex'),
    subject: row.subject,
    algorithm: row.algorithm,
    shardCount: row.shardCount,
    notBefore: iso(row.notBefore),
    notAfter: iso(row.notAfter),
    createdAt: iso(row.createdAt),
    revokedAt: isoOrNull(row.revokedAt),
    certificate: encodePem('CERTIFICATE', row.der),
  };
}
