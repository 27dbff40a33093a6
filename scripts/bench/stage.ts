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
  /** Certificates put in by SQL for questions about their status. */
  certificates: number;
  /** Questions of each OCSP phase by each method, the cold one excepted: that asks about all certificates but those of `status`. */
  ocsp: number;
  status: number;
  statusBatches: number;
}

/** What every scenario is given. */
export interface Stage {
  service: Service;
  database: Database;
  csrs: CsrSupply;
  floor: CryptoFloor;
  sizes: Sizes;
}
