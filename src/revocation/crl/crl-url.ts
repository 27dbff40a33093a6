import { COMPLETE } from '../../db/crls.ts';

/** Where a list is served (DESIGN §4). A shard's address stands in its certificates and in its issuing distribution point, alike. */
export const crlUrl = (publicUrl: string, issuerId: string, shard: number): string =>
  `${publicUrl}/crl/${issuerId}/${shard === COMPLETE ? 'complete' : shard}.crl`;
