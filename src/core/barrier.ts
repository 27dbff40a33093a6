/**
 * Named steps at which a fault test may stop the process (test/fault). In production `pass` is `noBarrier`, which does nothing.
 * Every name used in the code stands here, so that a test can walk them all.
 */
export const BARRIERS = [
  'issue:verified', 'issue:prepared', 'issue:signed', 'issue:before-commit', 'issue:committed',
  'renew:authenticated', 'renew:prepared', 'renew:signed', 'renew:before-commit', 'renew:committed',
  'revoke:before-commit', 'revoke:committed',
  'suspend:state-changed', 'suspend:before-commit', 'suspend:committed',
  'kill:few-changed', 'kill:few-committed', 'kill:gate-taken', 'kill:state-changed', 'kill:stopped', 'kill:step-changed', 'kill:step-before-commit', 'kill:step-committed', 'kill:resume-begun',
  'rotate-token:before-commit', 'rotate-token:committed',
  'crl:numbered', 'crl:part-stored', 'crl:before-commit', 'crl:committed',
  'log:hashed', 'log:grown', 'log:signed', 'log:copied', 'log:checkpointed',
  'restore:begun', 'restore:loaded', 'recover:before-commit',
] as const;

export type BarrierName = (typeof BARRIERS)[number];
export type Barrier = (name: BarrierName) => Promise<void> | undefined;

export const noBarrier: Barrier = () => undefined;
