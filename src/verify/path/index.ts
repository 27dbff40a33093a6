/** The path validator: what relying parties and the command line build on. */
export { createCrlMemory, type CrlMemory, type CrlSeen } from './crl-memory.ts';
export { readCrl } from './crl-status.ts';
export { PATH_LIMITS } from './limits.ts';
export { PATH_REASONS, type PathReason, type PathReasonCode } from './reasons.ts';
export { PURPOSES, type PathRequest, type PathResult, type Purpose, type RevocationMode } from './request.ts';
export { createStore, EMPTY_STORE, readCertificate, type CertificateStore } from './store.ts';
export { validatePath } from './validate.ts';
