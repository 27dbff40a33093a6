import type { CryptoFloor, CsrSupply } from './csrs.ts';
import type { Database } from './database.ts';
import type { Service } from './service.ts';

/** Operations of each phase. */
export interface Sizes {
  agents: number;
  issuanceWarmUp: number;
  issuance: number;
  issuanceHalf: number;
  renewalWarmUp: number;
  renewal: number;
  trivial: number;
  /** Certificates put in by SQL, at least as many as are asked about; so many of them are revoked. */
  certificates: number;
  revoked: number;
  /** Where none are put in revoked, the lists are measured at so many, and so many more, revoked. */
  revokedSome: number;
  revokedMany: number;
  /** Good certificates that are revoked one by one while lists are measured. */
  revocations: number;
  /** Certificates that the cold OCSP phases ask about, by each method. */
  ocspCold: number;
  /** Certificates whose status is in memory when the warm and cached OCSP phases ask about them, once each, by one of the methods. */
  ocspKnown: number;
  /** Questions of the OCSP phases at half rate, which only one worker is asked. */
  ocspHalf: number;
  status: number;
  statusBatches: number;
  /** Questions before OCSP and before JSON status are measured, each about another certificate. */
  statusWarmUp: number;
  /** Enforcement points, kills that they must obey, and certificates issued meanwhile. */
  points: number;
  kills: number;
  killIssuances: number;
  /** Events appended one by one to tell their cost, and certificates issued while agents are suspended and resumed. */
  auditAppends: number;
  auditIssuances: number;
  /** Readers of the live feed, and how many revocations they are told of. */
  subscribers: number;
  feedRevocations: number;
}

/** What every scenario is given. */
export interface Stage {
  service: Service;
  database: Database;
  csrs: CsrSupply;
  floor: CryptoFloor;
  sizes: Sizes;
}
